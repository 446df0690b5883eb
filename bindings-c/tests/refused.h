/* Options with a setting that is wrong, and what is said of it (C2). */
#ifndef REFUSED_H
#define REFUSED_H

#include "common.h"

static inline void refused(const amb_options *options, const char *field, const char *value)
{
    amb_proxy *proxy = (amb_proxy *)1;
    CHECK_INT(amb_proxy_new("payment-api.example.com", options, &proxy), AMB_ERR_CONFIG);
    CHECK(proxy == NULL);
    CHECK_TEXT(amb_last_error_field(), field);
    CHECK_TEXT(amb_last_error_value(), value);
    CHECK(strlen(amb_last_error_allowed()) > 0);
    char expected[512];
    snprintf(expected, sizeof expected, "%s: %s is not allowed; expected %s", field, value, amb_last_error_allowed());
    CHECK_TEXT(amb_last_error(), expected);
}

#define REFUSED(MEMBER, VALUE, FIELD, SHOWN)    \
    do {                                        \
        amb_options options = short_options(1); \
        options.MEMBER = VALUE;                 \
        refused(&options, FIELD, SHOWN);        \
    } while (0)

#define REFUSED_OF(GROUP, NEEDED, VALUE, MEMBER, WRONG, SHOWN) \
    do {                                                       \
        amb_options options = short_options(1);                \
        options.GROUP.enabled = true;                          \
        options.GROUP.NEEDED = VALUE;                          \
        options.GROUP.MEMBER = WRONG;                          \
        refused(&options, #GROUP "." #MEMBER, SHOWN);          \
    } while (0)

#endif
