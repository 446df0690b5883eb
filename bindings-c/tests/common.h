/* What the tests in C share: a clock, a function by script, options with short waits, the lines that were said. */
#ifndef COMMON_H
#define COMMON_H

#include "ambassador.h"
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static inline double now_ms(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e3 + (double)at.tv_nsec / 1e6;
}

/* Returns these statuses, one an attempt, and counts. */
struct script {
    int32_t statuses[8];
    const char *error;
    double retry_after_ms;
    int ran;
};

static inline int32_t play(const amb_attempt *attempt, void *user_data)
{
    struct script *script = user_data;
    if (script->error != NULL)
        amb_attempt_set_error(attempt, script->error);
    if (script->retry_after_ms != 0)
        amb_attempt_set_retry_after_ms(attempt, script->retry_after_ms);
    return script->statuses[script->ran++];
}

/* Defaults, but without jitter, and with waits of that base. */
static inline amb_options short_options(double base_ms)
{
    amb_options options;
    CHECK_INT(amb_options_init(&options), AMB_OK);
    options.backoff.base_ms = base_ms;
    options.backoff.jitter = "none";
    return options;
}

/* The same, for tests that fail again and again: no breaker, and any number of retries. */
static inline amb_options untiring_options(double base_ms)
{
    amb_options options = short_options(base_ms);
    options.breaker.enabled = false;
    options.budget.enabled = false;
    return options;
}

static inline amb_proxy *proxy_of(amb_options options)
{
    amb_proxy *proxy = NULL;
    amb_status status = amb_proxy_new("payment-api.example.com", &options, &proxy);
    if (status != AMB_OK)
        fprintf(stderr, "%s\n", amb_last_error());
    CHECK_INT(status, AMB_OK);
    return proxy;
}

/* The lines that were said, or the events that were told. */
struct lines {
    pthread_mutex_t lock;
    int count;
    char text[16][200];
};

static inline void keep_line(const char *line, void *log_data)
{
    struct lines *lines = log_data;
    pthread_mutex_lock(&lines->lock);
    if (lines->count < 16)
        snprintf(lines->text[lines->count++], sizeof lines->text[0], "%s", line);
    pthread_mutex_unlock(&lines->lock);
}

/* Something to wait for. */
struct event {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count;
};

#define EVENT_NONE {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}

static inline void event_happened(struct event *event)
{
    pthread_mutex_lock(&event->lock);
    event->count++;
    pthread_cond_broadcast(&event->changed);
    pthread_mutex_unlock(&event->lock);
}

static inline void event_wait(struct event *event, int count)
{
    pthread_mutex_lock(&event->lock);
    while (event->count < count)
        pthread_cond_wait(&event->changed, &event->lock);
    pthread_mutex_unlock(&event->lock);
}

/* A number of the health's JSON: the first after this text. */
static inline long health_number(amb_proxy *proxy, const char *before)
{
    char *health = amb_proxy_health(proxy);
    CHECK(health != NULL);
    const char *found = strstr(health, before);
    CHECK(found != NULL);
    long number = strtol(found + strlen(before), NULL, 10);
    amb_string_free(health);
    return number;
}

#endif
