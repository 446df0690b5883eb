/* An endpoint: `server [MS]` answers every request, after so many milliseconds, on a port that it says, until it is stopped. SIGUSR1 makes
 * it 300 ms slower, SIGUSR2 has it answer 503 every other time, and SIGHUP ends both. A thread for each connection. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static atomic_long delay_ms, slower_ms, answers;
static atomic_bool is_failing;

static void trouble(int signal)
{
    if (signal == SIGUSR1)
        atomic_store(&slower_ms, 300);
    else if (signal == SIGUSR2)
        atomic_store(&is_failing, 1);
    else {
        atomic_store(&slower_ms, 0);
        atomic_store(&is_failing, 0);
    }
}

static void take_time(void)
{
    const long ms = atomic_load(&delay_ms) + atomic_load(&slower_ms);
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (ms > 0 && nanosleep(&left, &left) != 0)
        continue;
}

static void *serve(void *data)
{
    const int connection = (int)(intptr_t)data;
    static const char well[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno";
    char request[8192];
    size_t length = 0;
    for (ssize_t count; (count = recv(connection, request + length, sizeof request - 1 - length, 0)) > 0;) {
        length += (size_t)count;
        request[length] = '\0';
        if (strstr(request, "\r\n\r\n") == NULL)
            continue;
        length = 0;
        take_time();
        const int fails = atomic_load(&is_failing) && atomic_fetch_add(&answers, 1) % 2 == 0;
        const char *answer = fails ? busy : well;
        if (send(connection, answer, strlen(answer), MSG_NOSIGNAL) < 0)
            break;
    }
    close(connection);
    return NULL;
}

int main(int argc, char **argv)
{
    atomic_store(&delay_ms, argc > 1 ? strtol(argv[1], NULL, 10) : 0);
    struct sigaction action = {.sa_handler = trouble, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    const int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1024) != 0
        || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return 1;
    printf("http://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        const int connection = accept(listener, NULL, NULL);
        pthread_t thread;
        if (connection < 0 || pthread_create(&thread, NULL, serve, (void *)(intptr_t)connection) != 0)
            return 1;
        setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pthread_detach(thread);
    }
}
