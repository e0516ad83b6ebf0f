/* preempt: the slice timer, and taking a guest off the core at any instruction.
 *
 * The timer fires once, at the end of the turn under way or when it is time for a look; a turn that begins pushes it ahead when little of
 * it is left. So a loop whose turns are short pays a system call every half a slice, one that sleeps a single signal. The signal
 * finds the fiber that runs and takes it off if its slice is over and others are ready, or if there is news for
 * the loop: in compiled code at once, in host code at its return (preempt_pending). Looks between the ends of slices
 * are taken only while news is frequent, or there are other shares: a guest that computes by itself is not disturbed.
 *
 * To take it off at once, the handler copies all registers, the vector state too, from the signal's frame to
 * the fiber and returns into the loop's half of a switch: nothing is written on the guest's native stack,
 * which may be as good as full. engine_asm_resume brings all of it back.
 */
#include "engine/engine_int.h"
#include <signal.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
    LOOKS = 8,              /* in a slice */
    RECENT_NS = 20'000'000, /* news is frequent: the last came so long ago */
    ALONE_SLICES = 5,       /* that who is alone may run until the loop has a turn, for its timers */
};

static void set_timer(struct engine *e, uint64_t now, uint64_t ns) {
    struct timespec t = {.tv_sec = (time_t)(ns / 1'000'000'000), .tv_nsec = (long)(ns % 1'000'000'000)};
    e->tick_at_ns = now + ns;
    __atomic_store_n(&e->tick_armed, true, __ATOMIC_RELAXED); /* the handler on this thread may clear it at once */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    timer_settime(e->tick, 0, &(struct itimerspec){.it_value = t}, NULL);
}

/* Who has used little is nearly done, most likely: it is not looked at so often. */
static uint64_t between_looks_ns(const struct engine *e) { return e->config.slice_ns / (e->level ? LOOKS : 2); }

/* How long the turn may go on before the handler looks at it. */
static uint64_t look_ns(const struct engine *e, uint64_t now) {
    bool recent = e->news_ns && now - e->news_ns < RECENT_NS;
    bool look = e->config.news && !e->whole_slice && (recent || e->bytes.parts > 1);
    return look ? between_looks_ns(e) : e->config.slice_ns;
}

void engine_tick_turn(struct engine *e) {
    uint64_t now = e->started_ns, ns = look_ns(e, now), left = e->tick_at_ns - now; /* wraps where it is over */
    if (!__atomic_load_n(&e->tick_armed, __ATOMIC_RELAXED) || left > ns || left < ns / 2) set_timer(e, now, ns);
}

/* Whether the fiber that runs is to make way. */
static bool makes_way(struct engine *e, uint64_t now) {
    const struct engine_config *c = &e->config;
    uint64_t ran = now - e->started_ns + c->slice_ns / 16; /* timers are not exact */
    uint32_t ready = __atomic_load_n(&e->orders, __ATOMIC_RELAXED);
    bool over = ran >= c->slice_ns;
    if (over && (ready || !c->news || ran >= ALONE_SLICES * c->slice_ns)) return true;
    if (!c->news || e->whole_slice || ran < between_looks_ns(e)) return false;
    if (ready & 1u << ENGINE_SHARE_FIRST) return true;
    if (!c->news(c->news_arg)) return false;
    e->news_ns = now;
    return e->news = true;
}

/* The guest's registers go to f, the thread to the loop. */
NO_ASAN static void take_off(struct engine *e, struct engine_fiber *f, ucontext_t *uc) {
    uint32_t n = engine_context_vector_bytes(uc);
    if (!n || n > e->vectors_max) return; /* never: the room was asked of the kernel */
    engine_context_save(uc, &f->saved);
    f->preempted = true;
    engine_fiber_leave_by_signal(e, f);
    engine_context_go(uc, engine_asm_switch_in, e->sched_sp);
}

NO_ASAN static void on_tick(int sig, siginfo_t *info, void *context) {
    (void)sig;
    if (info->si_code != SI_TIMER) return;
    ucontext_t *uc = context;
    struct engine *e = info->si_value.sival_ptr; /* whose timer it is */
    struct engine_fiber *f = __atomic_load_n(&e->current, __ATOMIC_RELAXED);
    __atomic_store_n(&e->tick_armed, false, __ATOMIC_RELAXED);
    if (!f || e != engine_of_thread) return; /* the next turn sets the timer again */
    uint64_t now = clock_mono_ns();
    if (!makes_way(e, now)) {
        set_timer(e, now, look_ns(e, now));
        return;
    }
    struct engine_where at = {engine_context_pc(uc), NULL, engine_context_link(uc), engine_context_sp(uc)};
    if (!f->frame || !engine_image_of(e, at.pc)) {
        __atomic_store_n(&e->preempt_pending, true, __ATOMIC_RELAXED);
        set_timer(e, now, e->config.slice_ns); /* a guest that it calls may never return */
    } else if ((const uint8_t *)at.sp - f->native_low >= ENGINE_RESUME_BYTES) {
        take_off(e, f, uc);
    } else { /* the stack is full but for a word or two: a guest must not be able to keep the core by standing
                there */
        f->frame->in->record_filled = false;
        engine_record(f, ABI_TRAP_STACK_OVERFLOW, at, UINT64_MAX);
        engine_context_go(uc, (void (*)(void))engine_asm_unwind, f->frame);
    }
}

void engine_tick_init(struct engine *e) {
    uint64_t frame = getauxval(AT_MINSIGSTKSZ); /* of a whole signal frame */
    e->vectors_max = align_up(MAX(frame, 2048ull), ABI_PAGE);
    struct sigaction sa = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    ENSURE(sigaction(SIGVTALRM, &sa, NULL) == 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGVTALRM);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM, .sigev_value.sival_ptr = e};
    ev.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    ENSURE(timer_create(CLOCK_MONOTONIC, &ev, &e->tick) == 0);
}

void engine_tick_free(struct engine *e) {
    timer_delete(e->tick); /* a signal of it that is under way comes before this returns */
    e->tick_armed = false;
}
