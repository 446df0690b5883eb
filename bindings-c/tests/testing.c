/* What programs test themselves with: virtual time, functions by script. */
#include "common.h"

#include <math.h>

CHECK_MAIN

TEST(waits_pass_at_once_in_virtual_time_and_are_told)
{
    amb_options options = short_options(2000);
    amb_proxy *proxy = proxy_of(options);
    const double began = now_ms();
    CHECK_INT(amb_test_virtual_time_start(), AMB_OK);
    CHECK(amb_test_virtual_time_elapsed_ms() == 0);
    const int32_t statuses[] = {503, 503, AMB_OK};
    amb_test_script script = {.statuses = statuses, .count = 3, .error = "503 Service Unavailable"};
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, amb_test_play, &script, &result), AMB_OK);
    CHECK_INT(script.played, 3);
    CHECK(result.elapsed_ms == 6000);
    CHECK(amb_test_virtual_time_elapsed_ms() == 6000);
    double waits[3] = {0, 0, -1};
    CHECK_INT(amb_test_virtual_time_waits(waits, 3), 2);
    CHECK(waits[0] == 2000 && waits[1] == 4000 && waits[2] == -1);
    CHECK_INT(amb_test_virtual_time_waits(NULL, 0), 2);
    waits[1] = -1;
    CHECK_INT(amb_test_virtual_time_waits(waits, 1), 2);
    CHECK(waits[1] == -1);
    amb_test_virtual_time_stop();
    CHECK(now_ms() - began < 2000);
    amb_proxy_free(proxy);
}

TEST(time_that_is_virtual_is_not_made_virtual_twice_and_only_it_is_moved)
{
    CHECK_INT(amb_test_virtual_time_advance_ms(1), AMB_ERR_ARGUMENT);
    CHECK(strstr(amb_last_error(), "time is not virtual") != NULL);
    CHECK(amb_test_virtual_time_elapsed_ms() == 0);
    amb_test_virtual_time_stop();
    CHECK_INT(amb_test_virtual_time_start(), AMB_OK);
    CHECK_INT(amb_test_virtual_time_start(), AMB_ERR_ARGUMENT);
    CHECK_TEXT(amb_last_error(), "amb_test_virtual_time_start: time is virtual already");
    const double none[] = {-1, NAN, INFINITY};
    for (int at = 0; at < 3; at++)
        CHECK_INT(amb_test_virtual_time_advance_ms(none[at]), AMB_ERR_ARGUMENT);
    CHECK_INT(amb_test_virtual_time_advance_ms(1500.000001), AMB_OK);
    CHECK(amb_test_virtual_time_elapsed_ms() == 1500.000001);
    amb_test_virtual_time_stop();
    CHECK_INT(amb_test_virtual_time_start(), AMB_OK);
    CHECK(amb_test_virtual_time_elapsed_ms() == 0);
    CHECK_INT(amb_test_virtual_time_waits(NULL, 0), 0);
    amb_test_virtual_time_stop();
}

static int32_t outrun(const amb_attempt *attempt, void *user_data)
{
    ++*(int *)user_data;
    CHECK(amb_attempt_remaining_ms(attempt) == 2000);
    CHECK_INT(amb_test_virtual_time_advance_ms(2500), AMB_OK);
    CHECK(amb_attempt_cancelled(attempt));
    return 0;
}

static void keep_result(const amb_result *result, void *user_data)
{
    (void)user_data;
    CHECK_INT(result->status, AMB_ERR_TIMEOUT);
    CHECK(result->elapsed_ms == 13500);
}

TEST(bounds_hold_in_virtual_time)
{
    CHECK_INT(amb_test_virtual_time_start(), AMB_OK);
    amb_proxy *proxy = proxy_of(short_options(2000));
    int ran = 0;
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, outrun, &ran, &result), AMB_ERR_TIMEOUT);
    CHECK(result.elapsed_ms == 13500);
    CHECK_INT(ran, 3);
    CHECK_INT(amb_proxy_spawn(proxy, outrun, &ran, NULL, keep_result, NULL), AMB_OK);
    CHECK_INT(amb_shutdown(60000), AMB_OK);
    CHECK_INT(ran, 6);
    amb_proxy_free(proxy);
    amb_test_virtual_time_stop();
}

TEST(a_script_repeats_its_last_status_and_says_its_error_and_hint)
{
    CHECK_INT(amb_test_virtual_time_start(), AMB_OK);
    amb_proxy *proxy = proxy_of(short_options(1));
    struct lines lines = {.lock = PTHREAD_MUTEX_INITIALIZER};
    amb_set_log(keep_line, &lines);
    const int32_t status = 503;
    amb_test_script script = {.statuses = &status, .count = 1, .error = "503 Service Unavailable", .retry_after_ms = 20};
    amb_result result;
    CHECK_INT(amb_proxy_call(proxy, amb_test_play, &script, &result), 503);
    CHECK_INT(script.played, 3);
    CHECK_TEXT(result.message, "503 Service Unavailable");
    CHECK_TEXT(lines.text[0], "[Ambassador] Retry 1 after 20ms: 503 Service Unavailable");
    amb_test_script empty = {0};
    CHECK_INT(amb_proxy_call(proxy, amb_test_play, &empty, NULL), AMB_OK);
    CHECK_INT(empty.played, 1);
    amb_proxy_free(proxy);
    amb_test_virtual_time_stop();
}

TEST(a_hint_in_milliseconds_is_exact_to_the_nanosecond)
{
    CHECK_INT(amb_test_virtual_time_start(), AMB_OK);
    amb_options options = untiring_options(0);
    options.max_retries = 2;
    amb_proxy *proxy = proxy_of(options);
    amb_set_log(NULL, NULL);
    for (long ns = 1; ns < 60000000000; ns += ns / 7 + 1) {
        const double before = amb_test_virtual_time_elapsed_ms();
        const int32_t statuses[] = {1, 0};
        amb_test_script script = {.statuses = statuses, .count = 2, .retry_after_ms = (double)ns / 1e6};
        CHECK_INT(amb_proxy_call(proxy, amb_test_play, &script, NULL), AMB_OK);
        CHECK_INT(llround((amb_test_virtual_time_elapsed_ms() - before) * 1e6), ns);
    }
    amb_proxy_free(proxy);
    amb_test_virtual_time_stop();
}
