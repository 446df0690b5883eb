/* A test is a process of its own: `TEST(name) { … }`, run by CTest as `program name`. CMakeLists.txt finds them by that line. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

#ifdef __cplusplus
#define CHECK_LINKAGE extern "C"
#else
#define CHECK_LINKAGE extern
#endif

CHECK_LINKAGE struct test *check_tests;

#define TEST(NAME)                                                                        \
    static void NAME(void);                                                               \
    __attribute__((constructor)) static void register_##NAME(void)                        \
    {                                                                                     \
        static struct test self;                                                          \
        self.name = #NAME;                                                                \
        self.run = NAME;                                                                  \
        self.next = check_tests;                                                          \
        check_tests = &self;                                                              \
    }                                                                                     \
    static void NAME(void)

/* Says what was expected, and ends the test. */
#define CHECK(CONDITION)                                                                  \
    do {                                                                                  \
        if (!(CONDITION)) {                                                               \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #CONDITION);       \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

#define CHECK_INT(ACTUAL, EXPECTED)                                                       \
    do {                                                                                  \
        const long long actual_ = (long long)(ACTUAL), expected_ = (long long)(EXPECTED); \
        if (actual_ != expected_) {                                                       \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld (%s)\n", __FILE__, __LINE__,     \
                    #ACTUAL, actual_, expected_, #EXPECTED);                              \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

#define CHECK_TEXT(ACTUAL, EXPECTED)                                                      \
    do {                                                                                  \
        const char *actual_ = (ACTUAL), *expected_ = (EXPECTED);                          \
        if (actual_ == NULL || strcmp(actual_, expected_) != 0) {                         \
            fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__,      \
                    #ACTUAL, actual_ == NULL ? "(null)" : actual_, expected_);            \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

#define CHECK_MAIN                                                                        \
    struct test *check_tests;                                                             \
    int main(int argc, char **argv)                                                       \
    {                                                                                     \
        for (struct test *test = check_tests; argc == 2 && test != NULL; test = test->next) \
            if (strcmp(test->name, argv[1]) == 0) {                                       \
                test->run();                                                              \
                return 0;                                                                 \
            }                                                                             \
        fprintf(stderr, "usage: %s TEST\n", argv[0]);                                     \
        return 2;                                                                         \
    }

#endif
