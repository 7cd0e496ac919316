# SPDX-License-Identifier: Apache-2.0
"""The C API through ctypes, as scripts of others load it."""
import ctypes
import sys

dsn = ctypes.CDLL("libdsn-c.so.0")
dsn.dsn_version.restype = ctypes.c_char_p
dsn.dsn_last_error.restype = ctypes.c_char_p
app = ctypes.c_void_p()
refused = dsn.dsn_open(b"no-such-bundle", None, None, ctypes.byref(app)) != 0
print(dsn.dsn_version().decode(), "refused" if refused else "opened")
sys.exit(0 if refused and b"" != dsn.dsn_last_error() and not app else 1)
