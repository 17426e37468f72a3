/*
 * Ends the process at the second signal of a kind that JavaScript has not heard the first of: code that never returns to the event loop
 * keeps it from hearing any. The first one goes to the handler of Bun. No headers, as none may be installed.
 */
typedef void (*handler)(int);

struct time {
  long seconds;
  long nanoseconds;
};

int clock_gettime(int clock, struct time *now);
long write(int descriptor, const void *bytes, unsigned long count);
void _exit(int code);

/* A signal that comes within this time of another of its kind is the same one: wrappers send on what the terminal has sent already. */
enum { same_ms = 50, signals = 32 };

static handler before[signals];
static volatile long long unheard_since[signals];
static const char *last_words;
static unsigned long last_length;

static void on_signal(int signal) {
  struct time now;
  clock_gettime(CLOCK, &now);
  long long at = now.seconds * 1000LL + now.nanoseconds / 1000000 + 1;
  if (unheard_since[signal] == 0) {
    unheard_since[signal] = at;
  } else if (at - unheard_since[signal] >= same_ms) {
    if (last_length > 0) write(2, last_words, last_length);
    _exit(128 + signal);
  }
  if (before[signal] != 0) before[signal](signal);
}

/* Keeps the handler that there is, and gives the one to put in its place. */
void *stand_before(int signal, void *handled) {
  before[signal] = handled;
  return on_signal;
}

void hear(int signal) { unheard_since[signal] = 0; }

void say(const char *words, unsigned long length) {
  last_length = 0;
  last_words = words;
  last_length = length;
}
