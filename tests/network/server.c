/* An endpoint: answers every request at once, on a port that it says, until it is stopped. A thread for each connection. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void *serve(void *data)
{
    const int connection = (int)(intptr_t)data;
    static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    char request[8192];
    size_t length = 0;
    for (ssize_t count; (count = recv(connection, request + length, sizeof request - 1 - length, 0)) > 0;) {
        length += (size_t)count;
        request[length] = '\0';
        if (strstr(request, "\r\n\r\n") == NULL)
            continue;
        length = 0;
        if (send(connection, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
            break;
    }
    close(connection);
    return NULL;
}

int main(void)
{
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
