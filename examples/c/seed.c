/*
 * The seed's program in C: a payment service without networking logic, around an API that fails six times in ten. Waits are
 * the defaults: up to 2 seconds, then up to 4. It may end with "All retries failed", and that is right.
 */
#include <ambassador.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { UNREACHABLE = 1 };

/* Main app: no networking logic */
struct payment_service {
    amb_proxy *ambassador;
};

static int32_t do_charge(const amb_attempt *attempt, void *amount)
{
    (void)amount;
    if (rand() < 0.6 * RAND_MAX) {
        amb_attempt_set_error(attempt, "Payment API unreachable");
        return UNREACHABLE;
    }
    return AMB_OK;
}

static int32_t charge(struct payment_service *service, double amount, amb_result *result)
{
    return amb_proxy_call(service->ambassador, do_charge, &amount, result);
}

/* Usage */
int main(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    srand((unsigned)now.tv_nsec);
    struct payment_service service;
    if (amb_proxy_new("payment-api.example.com", NULL, &service.ambassador) != AMB_OK) {
        fprintf(stderr, "%s\n", amb_last_error());
        return EXIT_FAILURE;
    }
    amb_result result;
    if (charge(&service, 99.99, &result) == AMB_OK)
        printf("charged: %.2f\n", 99.99);
    else
        printf("All retries failed: %s\n", result.message);
    amb_proxy_free(service.ambassador);
    return EXIT_SUCCESS;
}
