/* Keeps a pod's namespaces alive, and as their first process reaps what the pod's own leave behind. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop(int signal) { (void)signal; _exit(0); }

static void reap(int signal) {
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
}

int main(void) {
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    struct sigaction child = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
    if (sigaction(SIGCHLD, &child, NULL) != 0) return EXIT_FAILURE;
    for (;;) pause();
}
