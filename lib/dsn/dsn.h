/* SPDX-License-Identifier: Apache-2.0 */
/* dsn for C, and for any language that calls C: open a bundle, give a goal, classify frames; the manager
 * switches levels under you. The library is libdsn-c (pkg-config dsn-c); it needs no LibTorch. C++ programs
 * use dsn/deploy/application.h.
 *
 *   dsn_app* app = NULL;
 *   dsn_goal goal = {.target_s = 0.020};
 *   if (dsn_open("cam.dsnb", &goal, NULL, &app) != 0) { fputs(dsn_last_error(), stderr); exit(1); }
 *   dsn_answer answer;
 *   dsn_classify(app, pixels, width, height, 3, 0, &answer);
 *
 * Functions that can fail return 0, or the exit status that the dsn tool would have had: 1 failed, 2 bad
 * usage or bad input, 3 no level meets the goal, 4 this build or machine cannot; what went wrong is in
 * dsn_last_error(). One thread at a time may use an application; different applications may be used by
 * different threads.
 *
 * What is here stays: structures keep their fields and size within DSN_API_VERSION, new things get new
 * functions. */
#ifndef DSN_DSN_H
#define DSN_DSN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DSN_API_VERSION 1

#ifndef DSN_API
#define DSN_API
#endif

typedef struct dsn_app dsn_app;

typedef struct dsn_goal {
  double target_s;     /* latency from a frame's arrival to its result, seconds; more than 0 */
  double probability;  /* share of frames that shall meet it; 0: 0.99 */
  double min_accuracy; /* only levels that are this accurate, fraction; 0: any */
  double period_s;     /* between frames, seconds; 0: unknown */
} dsn_goal;

typedef struct dsn_answer {
  int32_t class_index;
  int32_t level;    /* that answered, 0 is the fastest */
  float confidence; /* softmax of the logits at class_index */
  float slowdown;   /* estimate of this moment's latency over the undisturbed one */
  double latency_s; /* from the frame's arrival to now */
  int32_t met;      /* 1: within the target */
  int32_t feasible; /* 1: the policy expected to meet the target */
} dsn_answer;

/* DSN_API_VERSION of the library. */
DSN_API int dsn_api_version(void);
/* "0.3.0". */
DSN_API const char* dsn_version(void);
/* Of this thread's last call that failed: one line, and a second one with a hint where there is one. Never
 * NULL. */
DSN_API const char* dsn_last_error(void);

/* Opens a bundle (folder or .dsnb), prepares its levels and warms up. options: JSON object or NULL; "policy"
 * ("dsn"), "engine" ("auto"), "threads" (0: the policy chooses), "platform" (file; absent: this machine is
 * discovered), "warmup" (3). On failure *app is NULL. */
DSN_API int dsn_open(const char* bundle, const dsn_goal* goal, const char* options, dsn_app** app);
/* NULL is fine. */
DSN_API void dsn_close(dsn_app* app);

/* From the next frame on; on failure the goal stays as it was. */
DSN_API int dsn_set_goal(dsn_app* app, const dsn_goal* goal);

/* pixels: uint8 [height, width, channels], rows one after another; channels 1 (grey) or 3 (RGB). age_s: how
 * long ago the frame arrived, seconds; it counts. */
DSN_API int dsn_classify(dsn_app* app, const uint8_t* pixels, int width, int height, int channels,
                         double age_s, dsn_answer* answer);

/* Logits of the last answer, float [dsn_classes()], valid until the next one; NULL before the first. */
DSN_API const float* dsn_logits(const dsn_app* app);
DSN_API int dsn_classes(const dsn_app* app);
/* NULL for an index that there is not. Valid as long as the application. */
DSN_API const char* dsn_class_name(const dsn_app* app, int class_index);
DSN_API int dsn_levels(const dsn_app* app);
/* Measured accuracy of a level, fraction; below 0 for a level that there is not. */
DSN_API double dsn_level_accuracy(const dsn_app* app, int level);

#ifdef __cplusplus
}
#endif

#endif
