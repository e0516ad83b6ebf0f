/* preempt: the slice timer, and taking a guest off the core at any instruction.
 *
 * A timer ticks once a slice while fibers run and is switched off by the first tick that finds none running:
 * a loop that is mostly asleep pays one tick at most, a busy one two signals a slice. A tick that finds the
 * fiber which the previous tick (or the arming) saw takes it off: in compiled code at once, in host code at
 * its return (preempt_pending).
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

static void set_timer(struct engine *e, uint64_t ns) {
    struct timespec t = {.tv_sec = (time_t)(ns / 1'000'000'000), .tv_nsec = (long)(ns % 1'000'000'000)};
    timer_settime(e->tick, 0, &(struct itimerspec){.it_interval = t, .it_value = t}, NULL);
}

void engine_tick_arm(struct engine *e) {
    e->tick_seq = e->run_seq;
    __atomic_store_n(&e->tick_armed, true, __ATOMIC_RELAXED); /* the handler on this thread may clear it at once */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    set_timer(e, e->config.slice_ns);
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
    if (!f || e != engine_of_thread) {
        __atomic_store_n(&e->tick_armed, false, __ATOMIC_RELAXED);
        set_timer(e, 0);
        return;
    }
    if (e->tick_seq != e->run_seq) {
        e->tick_seq = e->run_seq;
        return;
    }
    struct engine_where at = {engine_context_pc(uc), NULL, engine_context_link(uc), engine_context_sp(uc)};
    if (!f->frame || !engine_image_of(e, at.pc)) {
        __atomic_store_n(&e->preempt_pending, true, __ATOMIC_RELAXED);
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
