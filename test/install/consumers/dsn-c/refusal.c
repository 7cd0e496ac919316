/* SPDX-License-Identifier: Apache-2.0
 * The C API in plain C: a bundle that is not there is refused with a message that names it. */
#include <stdio.h>
#include <string.h>

#include "dsn/dsn.h"
#include "dsn/version.h"

int main(void) {
  const dsn_goal goal = {0.01, 0, 0, 0};
  dsn_app* app = NULL;
  char release[32];
  snprintf(release, sizeof release, "%d.%d.", DSN_VERSION_MAJOR, DSN_VERSION_MINOR);
  if (dsn_api_version() != DSN_API_VERSION || strncmp(dsn_version(), release, strlen(release)) != 0) return 1;
  if (dsn_open("no-such-bundle", &goal, NULL, &app) == 0 || app != NULL) return 1;
  printf("%s: %s", dsn_version(), dsn_last_error());
  return strstr(dsn_last_error(), "no-such-bundle") == NULL;
}
