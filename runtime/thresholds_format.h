/* thresholds_format.h - what reader and writer of the thresholds file agree on. */
#ifndef RUNTIME_THRESHOLDS_FORMAT_H
#define RUNTIME_THRESHOLDS_FORMAT_H

enum { THRESHOLDS_VERSION = 1 };

#endif
