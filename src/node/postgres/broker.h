/* broker: what speaks to the PostgreSQL of apps, in one process that touches no file of theirs.
 *
 *   worker ── postgres_ask ──> [ the app's queue ] ── a connection is free: tree → query → PostgreSQL's text ──> its server ── rows ──> postgres_told
 *   control ── postgres_do ──> [ its errands ]     ── one at a time, as its owner ──────────────────────────────> its server ── postgres_did
 *
 *   base: AWAY ──somebody asks: cluster_want──> COMES ──cluster──> OPENS ──the platform's schemas are there, its catalogue is read──> HERE
 *          ^                                      └──it cannot be──┐  └──its server does not let in: again and again                  │
 *          └──who waits is answered 57P03──────────────────────────┴──its server is gone, or nobody has asked for long: cluster_rest──┘
 *
 *   A server that somebody else runs: AWAY ──somebody asks: server_want──> COMES ──server, its URL──> OPENS ──the platform is there as far as its role may make
 *   it, its catalogue is read──> HERE; once a second, when somebody asks, it is asked whether its schemas are another's meanwhile. A server that does not let in is
 *   left alone for a while, and whoever asks meanwhile is told why.
 *
 *   broker.c   the process: peers, messages, answers, the end
 *   base.c     an app's database: its server, connections, catalogue, queue
 *   upgrade.c  what the node keeps in one of its own, brought to this version
 *   server.c   a server that somebody else runs: what is there, what is made, what its role may not make
 *   stream.c   rows that are told as they come
 *   plan.c     a query as it is sent: tree, text, those that were asked before
 *   ask.c      a query on its way: sent, answered
 *   backup.c   a backup's moment, and files that are copied
 *   feed.c     changes of rows, and who follows
 *   sql.c      a statement of SQL's
 *   explain.c  what rights and policies come to
 *   schema.c   what it is made of, as SQL
 *   move.c     while its rows go elsewhere
 *   errand.c   what its owner has done with it: migrations, resets
 *   dump.c     rows as SQL
 *
 * 1. Everything that is asked is answered once. What was written is on the server's disk when it is told; where nobody knows, it is told so (08007).
 * 2. An app has so many connections, so many asks that wait and bytes of those that are not answered; all apps together so many bytes, of which no app can take
 *    another's part. More is 53300.
 * 3. Policies and rights are PostgreSQL's: a connection is the role authenticator's, which becomes whoever asks in the transaction. Migrations run as the
 *    role postgres, which owns the database and is no superuser. What is the node's own (schema _orlo) is the superuser's, who is nobody's but the broker's.
 *    Of a server that somebody else runs, all of it is done by the role that its URL names, which is no superuser either.
 * 4. A write commits when its answer has been looked at: its size, the rows that it may affect, the bytes that the database may have.
 */
#ifndef ORLO_NODE_BROKER_H
#define ORLO_NODE_BROKER_H

#include "net/loop.h"
#include "node/migration.h"
#include "node/node_int.h"
#include "node/tree.h"
#include "node/wire.h"
#include "postgres/postgres.h"
#include "query/query.h"

enum {
    BROKER_WAITING_MAX = 512,      /* asks of an app */
    BROKER_APP_BYTES = 96 << 20,   /* of what is not answered */
    BROKER_BYTES = 256 << 20,      /* of all apps: beyond that, who has less than his part goes on */
    BROKER_LARGE_BYTES = 64 << 10, /* a tree that is read by a thread: the loop would stand still */
    BROKER_PLANS_HASH = 64,
    BROKER_ROOM = 4,             /* parts of an answer that may be on their way */
    BROKER_PATIENCE_MS = 20'000, /* that an ask waits for a server that comes */
};

struct broker_peer { /* a worker */
    struct broker_peer *next;
    struct net_watch *watch;
    int fd;
    uint32_t heard, turns;               /* packets of the last turn */
    bool chatty;                         /* there were several */
    struct broker_ask *asks;             /* all of its own */
    struct broker_answer *first, **last; /* that its socket had no room for */
};

struct broker_made { /* a catalogue; counted, as asks under way may be of an older one */
    uint32_t users;
    arena *mem;
    struct catalog *catalog;
    const struct pg_types *types;
    bool silent; /* nothing in it says response.headers or response.status */
    /* Queries as they were asked before: plan.c; the newest was asked last. */
    struct broker_plan *plans[BROKER_PLANS_HASH], *newest, *oldest;
    uint32_t plans_count;
    size_t plans_bytes;
};

struct broker_ask {
    struct broker_ask *next;             /* of its base's queue */
    struct broker_ask *next_of, **at_of; /* of its peer's; at_of NULL: nobody's */
    struct broker_peer *peer;            /* NULL: it is an errand's, or nobody waits any more */
    struct broker_base *base;
    arena *mem;
    uint32_t id, answer_bytes_max;
    uint64_t bytes, bytes_max, came_ns, until_ns;
    bool under_way, reads; /* reads: by a thread */
    struct node_tree_ask who;
    struct broker_plan *plan; /* that those are of; NULL: its own */
    struct query_batch batch;
    struct query_text *texts;
    struct postgres_statement *statements;
    uint32_t statements_count, first; /* first: which is the first tree's */
    /* In parts (stream.c): */
    bool streams, drops, told; /* drops: how many rows there are is wanted alone; told: a part was sent */
    struct query_ahead ahead;
    struct broker_ask *next_stream, **at_stream; /* of its base's */
    uint32_t sent[BROKER_ROOM], sent_count;      /* bytes of parts that are not used up, the oldest first */
    uint64_t held;                               /* those, and the widest: they are its bytes, too */
    size_t widest;
    uint64_t rows; /* that have come */
    struct buf part;
    bool writes, grows; /* grows: not by deleting alone */
    bool sized;         /* what the database has is asked for before and behind it */
    struct broker_made *made;
    struct postgres_ask *asked;
    enum app_data_outcome outcome;
    struct pg_error error;
    struct buf body;
    struct broker_errand *errand;
    /* Of a transaction (tx.c): */
    struct broker_tx *tx; /* that it is in; NULL: none, or it waits for its beginning */
    bool of_tx;
    enum app_tx does;
    int64_t number;
    uint32_t tx_ms;
    bool feed; /* its changes are asked for: feed.c */
    bool news; /* functions are told of what it changes */
    uint32_t changes_max, changes_s, asks_count, follows, hops;
    const struct app_value *asks;
    struct buf values; /* answered */
};

struct broker_errand {
    struct broker_errand *next;
    struct broker_base *base;
    arena *mem;
    uint32_t id, ms_max;
    uint64_t came_ns;
    enum node_data_does does;
    uint64_t bytes_max;
    int in, out;
    uint64_t yields_ns;     /* since when it waits for answers that are on their way */
    bool begun, was_frozen; /* was_frozen: move.c's */
    err e;
    struct diag d;
    uint32_t sums; /* tables, of move.c's */
    str sql;       /* of sql.c's */
    bool sql_wrapped;
    void *work;   /* errand.c's */
    void *schema; /* schema.c's */
};

struct broker_base {
    struct broker_base *next;
    uint32_t app;
    char name[64], password[129];
    char secret[129];             /* of a server that somebody else runs: the secret that is its URL; empty: the node's own */
    struct postgres_place *place; /* where that is; NULL: not known yet */
    char why[760];                /* it does not let in */
    uint64_t refused_ns;          /* until then that holds */
    bool anew;                    /* its URL is another one: as soon as nobody is at work */
    bool checks, said_plain;      /* whether its schemas have changed is being asked */
    bool triggers, stale;         /* it says so itself when they do; it did, and nobody has looked since */
    uint32_t turn;                /* of reading its catalogue */
    uint32_t makings;             /* of its catalogue, that threads are at */
    uint64_t checked_ns;
    char seen[40], lacks[600]; /* what was said of its schemas last; what its role may not make, as SQL */
    enum { BASE_AWAY, BASE_COMES, BASE_OPENS, BASE_HERE } state;
    struct broker_errand *reloads;         /* that is told when the catalogue was read again */
    bool swapped;                          /* a reset that did not come to its end had: what is left of it is to go */
    bool text_alone;                       /* what PostgreSQL says of it could not be read */
    bool frozen;                           /* it is read alone: move.c */
    struct postgres *backup;               /* a session in which its files are copied: backup.c; NULL: none */
    bool backup_over;                      /* that one is to be closed */
    bool missed;                           /* it was up at a backup's moment, and did not say how far its log was */
    uint64_t backup_ns, pinged_ns, lsn_ns; /* since when a backup has need of its log (0: none has); of lsn */
    bool feeds, fed;                       /* it keeps changes; some were written */
    uint32_t changes_max, changes_s;       /* of the last of the app's own who wrote; 0: none has yet, and nothing is trimmed */
    uint64_t changes_bytes, trimmed_ns;
    uint64_t news_ns; /* when it was last told that it has changed */
    bool news_due;
    char lsn[32];                          /* how far its log was at a backup's moment, or when it was opened */
    bool leaves, gives_up;                 /* its connections are being closed; are to be */
    bool forgotten, held;                  /* held: no ask is begun, an errand is about to change everything */
    int run;                               /* the folder of its server's socket; -1 */
    struct postgres *admin, *owner, *asks; /* connections as orlo, postgres, authenticator; NULL: none */
    struct postgres *template;             /* to _platform, while that is brought to this version */
    struct broker_made *made;              /* NULL: nothing was migrated yet */
    struct broker_ask *first, **last;      /* that wait */
    uint32_t waiting, running;
    uint64_t bytes; /* of asks that are not answered */
    struct broker_errand *errands, **last_errand;
    uint64_t used_ns, again_ns; /* again_ns: when its opening is tried again; 0: it is under way */
    uint64_t sized_ns, written; /* when its size was asked for last, and bytes of asks since */
    struct broker_tx *txs;      /* that go on */
    uint32_t txs_count;
    uint32_t streams; /* asks whose rows are told as they come: */
    struct broker_ask *streaming;
    uint64_t opens_ns;
};

/* ---- broker.c ---- */

struct broker {
    struct net_loop *loop;
    struct node_limits limits;
    struct broker_base *bases;
    uint64_t bytes; /* of all asks */
    bool servers;   /* it may connect to other machines */
    bool leaves;    /* it may not, and is wanted to: it makes room for one that may */
    uint64_t quiet_ns;
    bool mutes; /* nothing is answered: a backup's moment */
};
extern struct broker node_broker;
void node_broker_later(void);                       /* a turn of all bases, from the loop */
void node_broker_news_later(uint32_t ms);           /* node_feed_tell_news, then */
void node_broker_say(const struct node_message *m); /* to the supervisor */
void node_broker_answer(struct broker_ask *a);      /* and frees it */
void node_broker_part(struct broker_ask *a, str rows);
void node_broker_did(struct broker_errand *w);     /* likewise */
void node_broker_did_now(struct broker_errand *w); /* likewise, at a backup's moment too */
void node_broker_speak(void);                      /* that moment is over */

/* ---- base.c ---- */

struct broker_base *node_base_of(uint32_t app, str name, str secret);
void node_base_server(const struct node_msg_server *m, int fd); /* takes fd */
void node_base_anew(uint32_t app, str secret);
bool node_bases_work(void);                           /* something was begun, and has not ended */
void node_base_ask(struct broker_ask *a);             /* takes it */
bool node_base_may_hold(const struct broker_base *b); /* what it does, and all do */
bool node_base_count(struct broker_ask *a);           /* its bytes, until it is freed. False: the app has too many */
void node_base_errand(struct broker_errand *w);
void node_base_cluster(const struct node_msg_cluster *m, int run);
void node_base_forget(uint32_t app);
void node_base_turn(struct broker_base *b); /* what can be begun is */
void node_base_tick(uint64_t now);
bool node_bases_idle(void);
void node_bases_refuse(void); /* the end: whoever waits is told */
void node_ask_free(struct broker_ask *a);
void node_base_errand_over(struct broker_errand *w);
/* Connections to a database of its server's, as a role of it. */
void node_made_unref(struct broker_made *made); /* NULL is fine */
void node_base_close(struct broker_base *b);    /* them; whoever is under way is told. Not from a told of theirs */
void node_base_open(struct broker_base *b);     /* them again, and the catalogue */
struct postgres *node_base_connect(struct broker_base *b, const char *role, const char *database, uint32_t most);
/* It does not let in, and need not be tried again at once: whoever waits is told why. Its connections are closed by the next turn. */
void node_base_refuse(struct broker_base *b, err e, const char *why);
/* False: it was refused, or is tried again. */
bool node_base_went_well(struct broker_base *b, const struct postgres_answer *a);
void node_base_ask_admin(struct broker_base *b, const struct postgres_question *q, postgres_told told);
void node_base_let_in(struct broker_base *b);
void node_base_read(struct broker_base *b); /* its catalogue; then it is HERE */
/* Its catalogue is another one: when it has been read again, the errand is over. */
void node_base_reload(struct broker_errand *w);

/* ---- upgrade.c ---- */

enum { BROKER_PLATFORM = 6 };
#define BROKER_EXTENSION_RIGHTS "revoke execute on function _orlo.extension from public"
void node_upgrade_begin(struct broker_base *b); /* then node_base_let_in */

/* ---- server.c ---- */

void node_server_open(struct broker_base *b); /* then node_base_read */
/* A catalogue of what was there before any migration: the platform's, and what PostgreSQL says; it is kept, and read as any other. False: it cannot be made. */
bool node_server_adopt(struct broker_base *b, str text, postgres_told told);
[[nodiscard]] err node_server_text(const struct postgres_answer *live, uint32_t first, struct buf *text,
                                   struct diag *d); /* on a thread, perhaps */
/* Whether somebody changed its schemas, where that was not asked for a second. False: it is being asked, and nobody is to begin. */
bool node_server_fresh(struct broker_base *b);

/* ---- ask.c ---- */

void node_ask_begin(struct broker_ask *a);
void node_ask_take_error(struct broker_ask *a, const struct postgres_answer *answer); /* where it says one */
void node_ask_over(struct broker_ask *a);                                             /* ask.c is done with it: base.c */
void node_ask_cancel(struct broker_ask *a);                                           /* nobody waits any more */
struct query_answers node_ask_answers(const struct postgres_answer *answer);

/* ---- stream.c ---- */

enum { BROKER_FIRST_BYTES = 1 << 20, BROKER_OPEN_MS = 600'000 }; /* of an answer that may be one; that its transaction may take */
bool node_stream_may(const struct broker_ask *a);
bool node_stream_has_room(const struct broker_base *b); /* for one more */
void node_stream_begin(struct broker_ask *a);           /* it was too large for one answer */
void node_stream_end(struct broker_ask *a);             /* it is about to be freed */
void node_stream_refuse(struct broker_ask *a);          /* its tables are being changed by now */
void node_stream_turn(struct broker_base *b);           /* what has failed while it was heard ends */
bool node_stream_yields(
    struct broker_errand *w); /* False: it waits for answers that are on their way, and is asked again by the next tick */
void node_stream_put(struct broker_ask *a, const struct pg_session *session); /* what is sent, once it was resolved and printed */
bool node_stream_row(void *ask, const struct postgres_answer *answer, str row);
void node_stream_more(struct broker_ask *a, uint32_t parts);                       /* so many are used up */
void node_stream_told(struct broker_ask *a, const struct postgres_answer *answer); /* those were all */

/* What the text says of it; one that is larger than any node wrote is none. The owner may write there. */
#define BROKER_CATALOG                                                                                                           \
    "select value from _orlo.meta where key = 'catalog' and pg_catalog.octet_length(value) <= 67108864" /* CATALOG_BYTES_MAX */
extern const char node_server_seen[]; /* what changes with its schemas: server.c */
/* Whether anything in it may set response.headers or response.status: a function that names set_config or response., or makes statements as it runs; a view or a
 * policy that calls set_config (2078). And whether it says when its schemas are changed. */
#define BROKER_SAYS                                                                                                              \
    "select exists (select from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang where p.oid >= 16384 "   \
    "and p.pronamespace <> coalesce(pg_catalog.to_regnamespace('_orlo'), 0::pg_catalog.oid) and l.lanname not in ('c', "         \
    "'internal') and "                                                                                                           \
    "(l.lanname not in ('sql', 'plpgsql') or p.prosrc ~* 'set_config|response\\.|execute' or p.prosqlbody::text ~ ':funcid "     \
    "2078 ')) "                                                                                                                  \
    "or exists (select from pg_catalog.pg_rewrite where oid >= 16384 and ev_action::text ~ ':funcid 2078 ') or exists (select "  \
    "from pg_catalog.pg_policy where polqual::text ~ ':funcid 2078 ' or polwithcheck::text ~ ':funcid 2078 '), (select "         \
    "pg_catalog.count(*) = 2 from pg_catalog.pg_event_trigger where evtname in ('orlo_changed', "                                \
    "'orlo_dropped') and evtenabled <> 'D')"
/* Unless they are there: what says that they were changed, in the transaction that did. For a superuser, but that some who run servers let others do it, too. */
#define BROKER_CHANNEL "orlo_schema"
#define BROKER_TRIGGERS                                                                                                          \
    "do $orlo_do$ begin if (select pg_catalog.count(*) < 2 from pg_catalog.pg_event_trigger where evtname in ('orlo_changed', "  \
    "'orlo_dropped')) then create or replace function _orlo.changed() returns event_trigger language plpgsql set search_path = " \
    "pg_catalog as $f$ begin if exists (select from pg_event_trigger_ddl_commands() c where c.schema_name is distinct from "     \
    "'pg_temp') then perform pg_notify('" BROKER_CHANNEL "', ''); end if; end $f$; create or replace function _orlo.dropped() "  \
    "returns event_trigger language plpgsql set search_path = pg_catalog as $f$ begin if exists (select from "                   \
    "pg_event_trigger_dropped_objects() d where not d.is_temporary) then perform pg_notify('" BROKER_CHANNEL "', ''); end if; "  \
    "end $f$; drop event trigger if exists orlo_changed; drop event trigger if exists orlo_dropped; create event trigger "       \
    "orlo_changed on ddl_command_end execute function _orlo.changed(); create event trigger orlo_dropped on sql_drop execute "   \
    "function _orlo.dropped(); end if; end $orlo_do$"
/* What catalog_live_text's statements said, the first of which is that one of the answer. */
void node_live_add(struct catalog *c, const struct postgres_answer *a, uint32_t first);

/* ---- plan.c ---- */

void node_plan_find(struct broker_ask *a); /* what is sent for it, and how its answer is read; or its error */
void node_plan_make(void *ask);            /* likewise, and none is kept: on a thread */
struct postgres_statement node_plan_statement(arena *mem, str text, const struct query_bound *values, uint32_t n);
struct postgres_statement node_plan_settings(struct broker_ask *a, arena *mem, const struct pg_session *s);
bool node_plan_put(struct broker_ask *a, struct postgres_statement s);
void node_plan_unref(struct broker_plan *p);
void node_plans_free(struct broker_made *made);

/* ---- tx.c ---- */

void node_tx_ask(struct broker_ask *a); /* takes it */
bool node_tx_may_begin(const struct broker_base *b);
void node_tx_begin(struct broker_ask *a);
void node_tx_over(struct broker_ask *a);                        /* an ask of it is through: it is answered, and freed */
void node_tx_cancel(struct broker_ask *a);                      /* an ask of it is about to be freed */
struct postgres_held *node_tx_held(const struct broker_ask *a); /* NULL: it is of none, or of one that is over */
void node_tx_peer_gone(const struct broker_peer *p);
void node_tx_tick(struct broker_base *b, uint64_t now);

/* ---- errand.c ---- */

/* Roles that migrations made, as a reset has them: there again, gone. */
extern const char node_roles_back[], node_roles_drop[];
void node_errand_begin(struct broker_errand *w);
void node_errand_asked(struct broker_errand *w, struct broker_ask *a); /* its query was answered */
void node_errand_tick(struct broker_errand *w);                        /* it has begun: what may not be done in a told */
void node_errand_over(struct broker_errand *w, err e);
[[nodiscard]] err node_errand_say(struct broker_errand *w, str bytes); /* all of its answer */

/* ---- backup.c ---- */

#define BROKER_NO_SLOT                                                                                                           \
    "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = 'orlo_backup' and not active"
void node_backup_begin(struct broker_errand *w); /* of an app */
void node_backup_end(struct broker_errand *w);
void node_backup_at(struct broker_errand *w);
void node_backup_opened(struct broker_base *b, str lsn);
void node_backup_close(struct broker_base *b);
void node_backup_tick(struct broker_base *b, uint64_t now);
void node_backup_hold(struct broker_errand *w); /* of none: base is NULL */
void node_backup_release(struct broker_errand *w);
void node_backup_mute(struct broker_errand *w); /* it is told later */
void node_backup_late(uint64_t now);

/* ---- feed.c ---- */

#define BROKER_FEED "2"
void node_feed_make(struct broker_base *b, postgres_told told); /* in the database that is open */
void node_feed_ask(struct broker_ask *a);
void node_feed_note(struct broker_ask *a);  /* it has written */
void node_feed_news(struct broker_base *b); /* who tells functions of changes is to look */
void node_feed_tell_news(void);             /* that was put off */
void node_feed_tick(struct broker_base *b, uint64_t now);

/* ---- sql.c ---- */

struct json;
void node_sql_ask(struct broker_errand *w, const struct json *asked); /* {"sql", "role", "claims", "owner", "write"} */

/* ---- dump.c ---- */

void node_dump_begin(struct broker_errand *w);

/* ---- explain.c ---- */

void node_explain_begin(struct broker_errand *w);

/* ---- schema.c ---- */

void node_schema_begin(struct broker_errand *w);
void node_schema_tick(struct broker_errand *w);

/* ---- move.c ---- */

void node_move_freeze(struct broker_errand *w);
void node_move_thaw(struct broker_errand *w);
void node_move_sums(struct broker_errand *w);
/* Of a server that somebody runs, into which rows go (move_*.sql): statements before all others of it, before rows; what is left of one that did not come to its end. */
extern const char *const node_move_before[];
enum { BROKER_MOVE_BEFORE = 2 };
extern const char *const node_move_rows;
void node_move_undo(struct broker_errand *w);
void node_move_tick(struct broker_errand *w);

#endif
