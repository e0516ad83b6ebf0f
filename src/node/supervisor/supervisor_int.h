/* Inside the supervisor: its state, and what its files do for each other.
 *
 *   supervisor.c   start, signals, the loop, the end
 *   listen.c       doors: addresses, and the sockets that listen at them
 *   config.c       the command line and the operator's file as one, and that file again while the node runs
 *   certificates.c what workers have of certificates: the operator's, read, and control's, handed on
 *   setup.c        what the configuration makes of all this: doors, limits, how many workers of which cordon
 *   cordons.c      sets of workers, their slots, and the inboxes at which connections for their apps come
 *   workers.c      slots and their workers: started, watched, replaced
 *   publish.c      snapshots on their way to all workers, in place or by a new generation of them
 *   roles.c        processes of which there is one each, from a table; their channels to workers
 *   singles.c      what control and keys say and are told; jobs that control wants
 *   data.c         the same of the store
 *   cluster.c      the PostgreSQL of apps, and what the role postgres is told
 *   server.c       URLs of those that somebody else runs, for that role
 *   post.c         what the courier is told
 *   upgrade.c      another program takes this one's place: the old one's side
 *   takeover.c     the new one's side
 *   stay.c         what the old one is afterwards
 *   translators.c  who reads what apps' functions EXECUTE
 *   regions.c      what workers count, whichever process has the place
 *   notify.c       what systemd is told
 *   serve.c        `orlo serve FILE`: what is asked of control for it, as a command would
 */
#ifndef ORLO_NODE_SUPERVISOR_INT_H
#define ORLO_NODE_SUPERVISOR_INT_H

#include "app/hops.h"
#include "manifest/config.h"
#include "node/supervisor/jobs.h"
#include "node/node_int.h"
#include "node/rights.h"
#include "node/state.h"
#include <sys/socket.h>

struct proc { /* a worker */
    struct proc *next;
    enum { STARTING, READY, RESTING } state; /* READY: it serves */
    uint32_t slot;
    bool mails_lost; /* the same, of mails that wait */
    bool news_lost;  /* it had no room for some: it is told that any may have changed */
    struct node_process process;
    int log_fd; /* -1: closed */
    struct node_pulse *pulse;
    struct region *region; /* of its meters; NULL: none */
    struct node_watch watch;
    uint64_t sent, prepared, live, serves; /* generations of snapshots: what it was told, and said */
    bool rests;                            /* it was told to, and said so */
    uint32_t behind;                       /* so many times it was seen to be */
    uint64_t kill_at_ns;                   /* 0: it need not be killed */
    uint64_t stuck_ms;                     /* it was ended for that; 0: it was not */
    bool dropped;                          /* it was ended because its generation came to nothing */
};
/* A worker's place. */
struct slot {
    bool used;
    bool joins;                       /* it is there for what is to be published */
    bool leaves;                      /* once that is live it is nobody's place */
    uint32_t cordon, nth;             /* which of that cordon's */
    struct proc *current, *successor; /* NULL: none; a successor has the rights of the next snapshot */
    uint64_t spawn_at_ns, pause_ns;   /* of the current one, where there is none */
    uint64_t rest_at_ns;              /* of one that leaves: 0: not yet known */
};

/* An address, and the sockets that listen there. */
struct door {
    uint32_t uses; /* by setups */
    str host;      /* as it was asked for */
    uint16_t asked_port;
    struct sockaddr_storage address;
    uint32_t address_bytes;
    bool both; /* families */
    int *fds;  /* heap */
    uint32_t count;
};

struct setup_cordon {
    str name, data;
    uint32_t id, workers;
    VEC(str) apps;
};
/* What is configured: at work, or to be with what is published next. */
struct setup {
    arena *mem;
    struct node_limits limits;
    bool access_log, logs_alone;
    struct door *doors[NODE_LISTEN_MAX];
    struct {
        bool proxied; /* connections begin with a PROXY header */
        bool tls;
    } speaks[NODE_LISTEN_MAX]; /* there, as long as this setup is at work */
    uint32_t doors_count;
    str shown, also; /* the first address, the others */
    str file;        /* what the operator says, as manifest_config_write has it; empty: there is no file */
    str url;         /* how the world sees the node */
    VEC(struct net_prefix) trusted;
    uint32_t workers; /* that are in no cordon */
    VEC(struct setup_cordon) cordons;
    struct {
        str endpoint; /* empty: no spans are sent */
        VEC(struct app_env) headers;
        uint32_t sample_ppm;
        bool json;
    } otlp;
    int certificates; /* the operator's (node/certificates.h); -1: none */
    bool tls13_alone;
    str acme_ca;               /* who has signed authorities' certificates, PEM; empty: as the system has it */
    struct manifest_mail mail; /* a relay for apps that have none; host empty: there is none */
};

/* A set of workers that share memory with no others'; 0 is the one of all apps that are in none. */
enum {
    CORDONS_MAX = 32,        /* that are configured */
    QUARANTINES_MAX = 4,     /* for apps that kill workers: more share the last */
    QUARANTINE_FIRST = 1000, /* their numbers begin here */
    SLOTS_MAX = 512,
};
struct cordon {
    bool used;
    uint32_t id;
    int inbox[2]; /* its workers receive, all others send */
};

/* Rights, with the folders open. */
struct node_reach {
    arena *mem; /* NULL: none */
    struct node_rights rights;
    VEC(int) dirs;   /* by rights.dirs; -1: it could not be opened */
    bool stays_root; /* a worker would not get at one of them otherwise */
};

struct publication {
    uint64_t generation; /* 0: none */
    int fd;              /* sealed; -1 */
    bool anew;           /* by new workers */
    uint64_t late_at_ns; /* then it has failed */
    struct node_reach reach;
    uint32_t quarantines; /* a bit each: those that it needs */
};

/* A role of which there is one process (roles.c). */
struct single {
    struct node_process process;
    int log_fd;
    bool wanted, rests; /* its next start; it takes nothing more, and ends */
    uint64_t start_at_ns, pause_ns, started_ns;
};

enum { ASKS_MAX = 1024, KEYS_ASKS_MAX = 256 };
enum { NODE_UPGRADE_FDS = 3 };
struct translator;
struct upgrade;
struct takeover;
struct supervisor {
    struct upgrade *upgrade;                        /* upgrade.c; NULL: there is none */
    struct takeover *takeover;                      /* takeover.c; NULL: it has nobody's place, or has had it for long */
    uint64_t generation_before;                     /* that was live in whose place it has */
    int parent_fd;                                  /* to the one that stays as a parent (stay.c); -1: there is none */
    struct translator *translators;                 /* translators.c */
    int translators_log[2];                         /* they all write to the second; -1: none was started yet */
    const struct node_serve_config *flags, *config; /* the command line's; and with what the operator's file said at the start */
    const struct manifest_config *file;             /* NULL: there is none */
    struct setup *setup, *coming_setup;             /* NULL: none is to be */
    struct reload {                                 /* config.c */
        enum { RELOAD_IDLE, RELOAD_READING, RELOAD_READ, RELOAD_TOLD, RELOAD_COMING } state;
        bool again;                    /* somebody asked meanwhile, */
        uint32_t askers, askers_again; /* and so many of control's wait */
        int in, out;                   /* of the job */
        struct setup *setup;
        uint64_t since_ns, late_at_ns;
    } reload;
    uint32_t revision; /* of what control was told */
    arena *mem;
    struct slot slots[SLOTS_MAX];
    uint32_t slots_count; /* behind it none is used */
    struct cordon cordons[1 + CORDONS_MAX + QUARANTINES_MAX];
    struct proc *procs;                   /* all workers */
    int rates_fd;                         /* of all workers: worker/gate.h */
    uint8_t hops_key[APP_HOPS_KEY_BYTES]; /* likewise: app/hops.h */

    struct publication now, next; /* what is live; what is to be */
    bool untold;                  /* of now: that it is, as there may be who answers by what was before */
    struct node_reach coming;     /* rights that control has named for what it publishes next */
    uint32_t early_deaths;        /* of workers with `next` */
    bool anew;                    /* the next publication is by new workers, whatever it needs */

    struct single singles[NODE_ROLES]; /* by their role */
    struct forgotten *forgotten;       /* apps of which the store has not been told yet (data.c) */
    struct data_ask *data_asks;        /* what control waits for (data.c), in the order in which it came */
    struct cluster *clusters;          /* cluster.c */
    struct server_ask *server_asks;    /* server.c */
    bool servers;                      /* some app has, or had, a PostgreSQL that somebody else runs */
    bool governs;                      /* control has read its state */
    struct node_state state;
    struct node_jobs jobs;
    struct wanted *wanted; /* by control */
    struct image_ask {     /* of a worker */
        uint32_t id;       /* 0: free */
        pid_t pid;
        bool sent;     /* to control */
        uint32_t lent; /* it is wanted by a worker of the node before this one, by that number; pid is 0 */
        uint8_t digest[32];
        uint32_t app, version; /* whose secrets come with it; 0: nobody's */
        uint64_t revision;
        int image, secrets; /* that wait for keys; -1 */
        uint8_t key[32];    /* of image */
    } asks[ASKS_MAX];
    uint32_t last_ask, asks_sent;
    uint64_t asks_at_ns; /* when those that are not sent are tried again */
    struct key_ask {     /* that keys has not answered */
        uint32_t id;     /* control's own; of UNSEALS an image_ask's */
        enum { SIGNS, SAYS_PUBLIC, SEALS, UNSEALS } what;
    } key_asks[KEYS_ASKS_MAX];
    uint32_t key_asks_count;
    bool key_kept, key_made, key_opened; /* the node's, not one of this start; where there is none, it is made; it is there */
    uint64_t keys_idle_at_ns;
    struct abi_key_public key;

    bool acme_wanted;  /* control waits for a channel to the courier */
    struct buf proofs; /* what workers answer authorities with, as control has said it last */

    int client_ca_fd; /* of who may administer it by TLS; -1: it is plain */
    int admin_fd;     /* where it is administered by HTTP; -1: nowhere */
    str admin_shown, admin_asked;
    int client_fd; /* `orlo serve`: to control, as a command has it; -1 */
    bool deploying, deploy_again;
    uint32_t kind; /* of what is served */
    uint64_t deploy_ns;

    struct region *regions;
    int tickets, tickets_read;             /* the page of keys of tickets, and the same for workers; -1: there is none */
    uint64_t tickets_at_ns;                /* when another key is due; 0: nothing is TLS */
    int certificates, coming_certificates; /* what workers have, and those of a setup that is to come; -1: none */
    struct node_causes causes;
    struct node_relay relay;
    int signal_fd, terminal_fd;           /* -1: it has no terminal */
    int notify_fd;                        /* -1: nobody wants to know */
    uint64_t watchdog_ns, watchdog_at_ns; /* how often it is told; 0: not at all */
    bool announced, draining;
    uint64_t started_ns, kill_at_ns, sample_at_ns;
    uint64_t logs_at_ns; /* not before then are workers' lines taken in again: many at once cost less */
    err failed;          /* why it cannot be */
    struct diag *d;
};

/* ---- supervisor.c ---- */

void node_supervisor_close(int *fd);
bool node_supervisor_log_pair(int pair[2]);
void node_supervisor_take_lines(struct supervisor *s, enum node_role role, int *fd); /* closed where nothing more will come */
void node_supervisor_fail(struct supervisor *s, err e, const struct diag *d); /* before it was announced; the first one counts */
/* Somebody sent what his role does not send. */
void node_supervisor_cut_off(const struct node_process *p, const uint32_t *worker);

/* ---- listen.c ---- */

/* Bound, with a socket for each of the workers of the setup that is coming, listening, not blocking. One of `before` that is the same stays. ERR_BUSY,
 * ERR_DENIED, ERR_USAGE. */
[[nodiscard]] err node_door_open(const struct node_listen *l, const struct setup *coming, const struct setup *before,
                                 struct door **out, struct diag *d);
/* What another process listened at: one use, and no sockets yet. */
struct sockaddr;
struct door *node_door_taken(str host, uint16_t asked_port, bool both, const struct sockaddr *a, uint32_t a_bytes);
void node_door_add(struct door *door, int fd); /* taken */
uint32_t node_door_port(const struct door *door);
str node_door_url(arena *out, const struct door *door, bool tls); /* as people open it */
void node_door_leave(struct door *door);                          /* closed when no setup uses it any more */

/* ---- setup.c ---- */

/* Of what the command line and the operator's file say; doors that before has are the same ones. */
struct manifest_config; /* manifest/config.h */
[[nodiscard]] err node_setup_new(const struct node_serve_config *config, const struct manifest_config *file,
                                 const struct setup *before, struct setup **out, struct diag *d);
void node_setup_free(struct setup *setup);                                                     /* NULL is fine */
const struct setup *node_setup_of(const struct supervisor *s, const struct publication *what); /* that goes with it */
uint32_t node_setup_workers(const struct setup *setup);                                        /* of all cordons */
void node_setup_close_doors(const struct setup *setup);
uint32_t node_setup_cores(void); /* that this process may use */

/* ---- certificates.c ---- */

/* Those that a configuration names: setup has them. What is wrong with one is said with its file. */
struct manifest_config;
[[nodiscard]] err node_certificates_of(struct supervisor *s, const struct manifest_config *file, struct setup *setup,
                                       struct diag *d);
bool node_certificates_set(struct supervisor *s,
                           struct node_message *m); /* by control: for all workers, or those that are to come */
/* A worker that has started. False: it does not listen. */
[[nodiscard]] bool node_certificates_tell(struct supervisor *s, const struct proc *p, const struct publication *what);
void node_certificates_live(struct supervisor *s);              /* those that came with a configuration that is at work now */
void node_certificates_refused(struct supervisor *s);           /* or is not to be */
void node_certificates_act(struct supervisor *s, uint64_t now); /* tickets */
void node_certificates_adopt_tickets(struct supervisor *s, uint64_t bytes, int fd); /* of the node before this one; taken */
void node_certificates_end(struct supervisor *s);

/* ---- config.c ---- */

/* Flags and file as one; file NULL: flags alone. In out, or borrowed from both. ERR_USAGE. */
[[nodiscard]] err node_config_merge(arena *out, const struct node_serve_config *flags, const struct manifest_config *file,
                                    struct node_serve_config *to, struct diag *d);
void node_config_tell(struct supervisor *s, const struct setup *setup); /* control, before the cordons */
void node_config_reload(struct supervisor *s, bool asked);              /* asked: by control, who is told what came of it */
void node_config_act(struct supervisor *s, uint64_t now);
/* What is published was made by the file that was read again: it is that setup's. */
bool node_config_comes(struct supervisor *s, uint32_t revision);
void node_config_live(struct supervisor *s);                                /* what was published is */
void node_config_failed(struct supervisor *s, err e, const struct diag *d); /* or is not to be */

/* ---- cordons.c ---- */

/* Slots as a setup and the quarantines want them; those that are too many are to leave. False: no more can be made. */
[[nodiscard]] bool node_cordons_arrange(struct supervisor *s, const struct setup *setup, uint32_t quarantines);
void node_cordons_settle(struct supervisor *s);               /* that is live: who was to leave leaves, who joins stays */
void node_cordons_forget(struct supervisor *s);               /* it came to nothing */
void node_cordons_tell(struct supervisor *s, struct proc *p); /* a worker that has started, of all inboxes */
void node_cordons_lead_back(struct supervisor *s,
                            struct proc *p); /* one that is to rest: where others of its cordon receive, if there are any */
void node_cordons_tell_control(struct supervisor *s, const struct setup *setup, uint32_t revision); /* which apps are of which */
void node_cordons_act(struct supervisor *s, uint64_t now);
/* Nobody sends any more, and hears so: all that was sent until now is taken by who drains, and nothing lies where nobody looks. */
void node_cordons_stop(struct supervisor *s);
void node_cordons_end(struct supervisor *s);

/* ---- workers.c ---- */

/* With the rights of what is published there, and the setup that goes with it. */
struct proc *node_workers_spawn(struct supervisor *s, uint32_t slot, const struct publication *what);
void node_workers_proofs(struct supervisor *s, str table);  /* what all are to answer authorities with */
void node_workers_news(struct supervisor *s, uint32_t app); /* an app's database has changed; 0: any may have */
void node_workers_rest(struct supervisor *s, struct proc *p);
/* The same for another program's workers. back: to whom its connections may go. */
void node_workers_leave(struct supervisor *s, struct proc *p, bool back);
void node_workers_hear(struct supervisor *s, struct proc *p);
bool node_workers_reap(struct supervisor *s, pid_t pid, int status);
void node_workers_watch(struct supervisor *s);
void node_workers_act(struct supervisor *s, uint64_t now); /* starts those that are due, kills those that are */
void node_workers_signal(struct supervisor *s, int signum);

/* ---- publish.c ---- */

bool node_publish_right(struct supervisor *s, const struct node_msg_right *m); /* false: too many */
void node_publish_forget_rights(struct supervisor *s);
/* False: nonsense. Takes the descriptor. */
bool node_publish_begin(struct supervisor *s, struct node_message *m);
void node_publish_applied(struct supervisor *s, struct proc *p, const struct node_msg_applied *m);
bool node_publish_serves(struct supervisor *s, struct proc *p, uint64_t generation); /* false: nonsense */
/* Whether a worker may answer requests by what was live before, and somebody waits to hear that none does. */
bool node_publish_is_behind(const struct supervisor *s, const struct proc *p);
void node_publish_tell(struct supervisor *s); /* if nobody is behind any more */
void node_publish_forget_who_asked(struct supervisor *s);
void node_publish_fail(struct supervisor *s, err e, const struct diag *d);
/* Sends every worker what it lacks, and goes live once nobody lacks anything. */
void node_publish_settle(struct supervisor *s);
const struct publication *node_publish_for(const struct supervisor *s, const struct proc *p);
void node_publish_forget_next(struct supervisor *s);
void node_publish_act(struct supervisor *s, uint64_t now); /* gives up what takes too long */
void node_publish_end(struct supervisor *s);

/* ---- roles.c ---- */

void node_roles_init(struct supervisor *s);
/* Now, if it is not there. False: it cannot be, and that was logged. */
bool node_roles_start(struct supervisor *s, enum node_role role);
/* As soon as it may: after the pause of one that died, after the end of one that rests. */
void node_roles_want(struct supervisor *s, enum node_role role);
void node_roles_tell(struct supervisor *s, enum node_role role, const struct node_message *m); /* who does not listen is killed */
void node_roles_rest(struct supervisor *s, enum node_role role);     /* it said that it has nothing to do */
void node_roles_end(struct supervisor *s, enum node_role role);      /* at once; `gone` is not called */
void node_roles_open_channels(struct supervisor *s, struct proc *p); /* of a worker that has started */
void node_roles_channel_want(struct supervisor *s, struct proc *p, enum node_channel channel);
/* An end of a channel for a worker of the node before this one: the role is started, if need be. -1: there is none. */
int node_roles_lend(struct supervisor *s, enum node_channel channel, uint32_t slot);
bool node_roles_reap(struct supervisor *s, pid_t pid, int status);
void node_roles_end_all(struct supervisor *s);
void node_roles_act(struct supervisor *s, uint64_t now);
uint64_t node_roles_due_ns(const struct supervisor *s);
struct pollfd;
void node_roles_poll(const struct supervisor *s, struct pollfd fds[static 2 * NODE_ROLES], bool take_lines);
void node_roles_polled(struct supervisor *s, const struct pollfd fds[static 2 * NODE_ROLES]);
/* What there is to be done at the beginning, the messages and the end of each (roles.c says when). */
bool node_singles_begin_control(struct supervisor *s);
bool node_singles_hear_control(struct supervisor *s, struct node_message *m);
void node_singles_lose_control(struct supervisor *s, int status);
bool node_singles_begin_keys(struct supervisor *s);
bool node_singles_hear_keys(struct supervisor *s, struct node_message *m);
void node_singles_lose_keys(struct supervisor *s, int status);
bool node_data_begin(struct supervisor *s);
bool node_data_hear(struct supervisor *s, struct node_message *m);
void node_data_lose(struct supervisor *s, int status);
void node_data_forget(struct supervisor *s, const struct node_msg_data_forget *m); /* what an app kept */
[[nodiscard]] bool node_data_want(struct supervisor *s, struct node_message *m);   /* false: nonsense */
void node_data_forget_asks(struct supervisor *s);                                  /* control is gone */
void node_data_let_go(struct supervisor *s);                                       /* and holds no files still */

/* ---- singles.c ---- */

/* keys is to open what is sealed of an app's, into a memory file: node_servers_unsealed is told. False: it is asked too much. */
[[nodiscard]] bool node_singles_unseal(struct supervisor *s, uint32_t id, uint32_t app, int sealed, int opened);
bool node_singles_tell_keys(struct supervisor *s, const struct node_message *m); /* what is not answered; started for it */
str node_singles_seal_file(const struct supervisor *s, arena *scratch); /* of the key that seals; empty: the state folder's own */
void node_singles_act(struct supervisor *s, uint64_t now);
uint64_t node_singles_due_ns(const struct supervisor *s);
void node_singles_tell(struct supervisor *s, const struct node_message *m); /* control */
void node_singles_forget_asks(struct supervisor *s, pid_t pid);             /* a worker that is gone */
void node_singles_image_want(struct supervisor *s, struct proc *p, const struct node_msg_image_want *m);
void node_singles_image_lent(struct supervisor *s, uint32_t id,
                             const struct node_msg_image_want *m); /* the same of the node before */
/* Which key: the node's, or one of this start; and whether the node's is made where there is none. */
void node_singles_use_key(struct supervisor *s, bool kept, bool made);
void node_singles_end(struct supervisor *s);

/* ---- regions.c ---- */

void node_regions_open(struct supervisor *s);                /* the supervisor's own */
int node_regions_take(struct supervisor *s, struct proc *p); /* for a worker that starts; -1: errno. It stays the supervisor's */
void node_regions_give(struct proc *p);                      /* it has ended */
int node_regions_courier(struct supervisor *s, bool alive);  /* the courier's; -1: there is none */
void node_regions_tell(struct supervisor *s);                /* control, which has started: of all */
void node_regions_look(const struct supervisor *s);          /* what there is of the supervisor's own */
void node_regions_close(struct supervisor *s);
/* To who takes over, and of who is taken over: what those have counted counts on, and is free for others when they are gone. */
bool node_regions_hand_on(const struct supervisor *s, int wire);
void node_regions_adopt(struct supervisor *s, uint32_t slot, int fd);
void node_regions_free_adopted(struct supervisor *s);

/* ---- admin.c ---- */

[[nodiscard]] err node_admin_open(struct supervisor *s, struct diag *d);
void node_admin_tell(struct supervisor *s); /* control, where to listen */

/* Of either that does what control asks (data_want): what it has not been told yet; what it says; it is gone. */
void node_data_tell(struct supervisor *s, enum node_role role);
void node_data_did(struct supervisor *s, enum node_role role, uint32_t id, err e, uint64_t offset, str text);
void node_data_lost(struct supervisor *s, enum node_role role);

/* ---- server.c: those that somebody else runs ---- */

void node_servers_want(struct supervisor *s, const struct node_msg_server_want *m);
bool node_servers_give(struct supervisor *s, struct node_message *m);           /* false: nonsense */
bool node_servers_unsealed(struct supervisor *s, uint32_t id, err e, str text); /* false: it is none of these */
void node_servers_changed(struct supervisor *s, const struct node_msg_server_changed *m);
void node_servers_lose_control(struct supervisor *s);
void node_servers_forget(struct supervisor *s); /* nobody waits any more */

/* ---- cluster.c: apps' PostgreSQL ---- */

bool node_clusters_begin(struct supervisor *s);
bool node_clusters_hear(struct supervisor *s, struct node_message *m);
void node_clusters_lose(struct supervisor *s, int status);
void node_clusters_look(struct supervisor *s); /* once, when the state folder is open */
void node_clusters_forget(struct supervisor *s, uint32_t app, str name,
                          bool again);                                /* again: it may have one anew, once this is gone */
bool node_clusters_reap(struct supervisor *s, pid_t pid, int status); /* false: no program of theirs */
void node_clusters_act(struct supervisor *s, uint64_t now);
uint64_t node_clusters_due_ns(const struct supervisor *s);
void node_clusters_end(struct supervisor *s);
/* To who takes over, once none is half made, stopped or removed: false until then. They stay children of this process (stay.c). */
[[nodiscard]] bool node_clusters_hand_on(struct supervisor *s, int wire);
void node_clusters_adopt(struct supervisor *s, uint32_t app, str name, pid_t pid);
bool node_clusters_handed(const struct supervisor *s); /* any is there */
void node_clusters_orphan(struct supervisor *s,
                          pid_t pid); /* a child that was reaped: if it was one of those, what it left is ended */

/* ---- post.c: the courier ---- */

/* … and who makes hashes of passwords */
bool node_hash_begin(struct supervisor *s);
bool node_hash_hear(struct supervisor *s, struct node_message *m);
void node_hash_lose(struct supervisor *s, int status);
bool node_post_begin(struct supervisor *s);
bool node_post_hear(struct supervisor *s, struct node_message *m);
void node_post_lose(struct supervisor *s, int status);
void node_post_setup(struct supervisor *s, const struct setup *before); /* another one is at work */
void node_post_acme_want(struct supervisor *s);                         /* control is to have a channel to the courier */

/* ---- notify.c ---- */

void node_notify_open(struct supervisor *s);
void node_notify_ready(const struct supervisor *s);
void node_notify_reloading(const struct supervisor *s);       /* then ready, whatever came of it */
void node_notify_main(const struct supervisor *s, pid_t pid); /* which process is the node's from now on */
void node_notify_stopping(const struct supervisor *s);
void node_notify_act(struct supervisor *s, uint64_t now);
uint64_t node_notify_due_ns(const struct supervisor *s);
void node_notify_close(struct supervisor *s);

/* ---- serve.c ---- */

[[nodiscard]] err node_serve_check(struct supervisor *s, struct diag *d); /* that FILE and folders are there */
void node_serve_deploy(struct supervisor *s);                             /* FILE, as it is now */
void node_serve_again(struct supervisor *s);                              /* once what is under way is done */
void node_serve_hear(struct supervisor *s);
void node_serve_announce(struct supervisor *s);
void node_serve_app_kills(struct supervisor *s, uint32_t app);

/* ---- upgrade.c ---- */

void node_upgrade_remember(void); /* the path of this program, at the start */
struct pollfd;
void node_upgrade_poll(const struct supervisor *s, struct pollfd fds[static NODE_UPGRADE_FDS]);
void node_upgrade_polled(struct supervisor *s, const struct pollfd fds[static NODE_UPGRADE_FDS]);
bool node_upgrade_reap(struct supervisor *s, pid_t pid, int status);
void node_upgrade_act(struct supervisor *s, uint64_t now);
uint64_t node_upgrade_due_ns(const struct supervisor *s);
bool node_upgrade_holds_control(const struct supervisor *s); /* none is started here */
void node_upgrade_busy(struct supervisor *s);                /* control is, and does not rest */
bool node_upgrade_leaves(const struct supervisor *s);        /* the node is another's; this one finishes what it has */
bool node_upgrade_waits(const struct supervisor *s);         /* and has still something to hand on */
void node_upgrade_signal(const struct supervisor *s, int signum);
bool node_upgrade_lends(const struct supervisor *s, enum node_channel channel); /* the other one does */
void node_upgrade_borrow(struct supervisor *s, const struct proc *p, enum node_channel channel);
[[nodiscard]] bool node_upgrade_image(struct supervisor *s, const struct proc *p, const struct node_msg_image_want *want);
void node_upgrade_share_log(struct supervisor *s); /* two write there */
void node_upgrade_forget_copy(const struct supervisor *s);
pid_t node_upgrade_end(struct supervisor *s, int *wire);

/* ---- takeover.c ---- */

void node_takeover_begin(struct supervisor *s); /* first of all; nothing, if it was started by itself */
const struct setup *node_takeover_before(const struct supervisor *s);
bool node_takeover_broken(const struct supervisor *s); /* whose place it has died before all was handed on */
int node_takeover_admin(struct supervisor *s, str asked);
bool node_takeover_inbox(struct supervisor *s, uint32_t cordon, int fds[2]);
[[nodiscard]] err node_takeover_prepared(struct supervisor *s, struct diag *d); /* waits until it may go on */
void node_takeover_serves(struct supervisor *s);
bool node_takeover_waits(const struct supervisor *s);         /* for its being the node */
bool node_takeover_clusters_wait(const struct supervisor *s); /* for whose they are */
void node_takeover_failed(struct supervisor *s, err e, const struct diag *d);
[[nodiscard]] err node_takeover_image(struct supervisor *s, uint32_t id, const struct node_message *image);
int node_takeover_fd(const struct supervisor *s);
void node_takeover_hear(struct supervisor *s);

/* ---- stay.c ---- */

void node_stay_tell(const struct supervisor *s, pid_t main);
int node_stay(struct supervisor *s, pid_t main, int wire);

/* ---- translators.c ---- */

int node_translators_channel(struct supervisor *s, uint32_t app); /* one end of a channel to the app's; -1: there is none now */
bool node_translators_reap(struct supervisor *s, pid_t pid, int status);
void node_translators_end(struct supervisor *s);

#endif
