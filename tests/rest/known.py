"""What of PostgREST's specification is answered otherwise, and why: (engine or "" for both, what the case and its answer have, the reason). OPEN: one by one,
what is not there yet, by the specification's file and line."""
KNOWN = [
    ("", r"PGRST205 Could not find the table|PGRST202 .*get_tsearch_to_tsvector", "its table does not deploy: what the dialect refuses of the schema (suite.py --list)"),
    ('', r"^(CustomMediaSpec|PostGISSpec)|geo\+json|text/xml|pg/outfunc", "media types of functions and aggregates of one's own, GeoJSON"),
    ("", r"PGRST127 Feature not implemented", "aggregates within spreads of one row, grouped with what is around them"),
    ("", r"count=(planned|estimated)", "planned and estimated counts are counted"),
    ("sqlite", r"^RpcPreRequestGucsSpec|able to switch to|raises error \(id", "the function that is called before each request is PL/pgSQL, which does not run on SQLite"),
    ("", r"^HttpHeaderSpec:18", "which function is called before is not among what the case says"),
    ("", r"get_projects_and_guc_headers", "a column of what a function gives that it does not tell"),
    ("postgres", r"^PgSafeUpdateSpec", "the library safeupdate is not installed"),
    ("", r"^(AuthSpec|ErrorSpec).*(status 20\d for 401|status 403 for 401|Bearer)", "tokens: suite.py takes their claims as they are, and the specification makes some as it runs"),
    ("sqlite", r"timezone=05:30:15", "of a zone that is none PostgreSQL says more"),
    ('', r"PGRST100", "a stray ) or ' behind a list, which PostgREST does not look at"),
    ("sqlite", r"55000 cannot", "views are not written to on SQLite"),
    ("sqlite", r"0A000", "what the dialect lacks on SQLite, as it says"),
    ("sqlite", r"42883 operator does not exist: (integer|text)\[\] ->", "JSON paths into arrays and composites"),
    ("postgres", r"cannot use ltree", "PostgreSQL 15 says 42883 of it, and not that there are several"),
    ("", r"datarep|data representations|22P02.*#001100", "data representations: casts of domains"),
    ("", r"^(RootSpec|OpenApiSpec|IgnorePrivOpenApiSpec)", "the OpenAPI document is ours"),
    ('', r"^RollbackSpec|^SingularSpec|callcounter|/items2|/items3|reset_sequence", "cases that stand on what an earlier one committed, or on a sequence's state"),
    ("sqlite", r"tsearch\?text_search_vector=not\.", "texts in French and German do not deploy on SQLite, and so their rows are not found"),
]
OPEN = {
    "sqlite": """
AuthSpec:52 ExtraSearchPathSpec:63 NoSuperuserSpec:14 AggregateFunctionsSpec:31 AggregateFunctionsSpec:93 AndOrParamsSpec:54 AndOrParamsSpec:92
EmbedDisambiguationSpec:15 EmbedDisambiguationSpec:72 EmbedDisambiguationSpec:138 EmbedDisambiguationSpec:296 EmbedDisambiguationSpec:302
EmbedDisambiguationSpec:393 EmbedDisambiguationSpec:408 EmbedDisambiguationSpec:411 EmbedDisambiguationSpec:499 EmbedDisambiguationSpec:502
EmbedInnerJoinSpec:278 EmbedInnerJoinSpec:281 EmbedInnerJoinSpec:284 ErrorSpec:20 InsertSpec:563 MultipleSchemaSpec:169 MultipleSchemaSpec:220
MultipleSchemaSpec:227 PgSafeUpdateSpec:38 QuerySpec:253 QuerySpec:629 QuerySpec:747 QuerySpec:962 QuerySpec:977 RangeSpec:254 RpcSpec:239 RpcSpec:440
RpcSpec:445 RpcSpec:487 RpcSpec:497 RpcSpec:515 RpcSpec:545 RpcSpec:722 RpcSpec:740 RpcSpec:856 RpcSpec:891 RpcSpec:899 RpcSpec:915 RpcSpec:961
RpcSpec:1194 RpcSpec:1274 UnicodeSpec:28 UpsertSpec:434
""",
    "postgres": """
AuthSpec:52 ExtraSearchPathSpec:63 AggregateFunctionsSpec:31 AggregateFunctionsSpec:93 DeleteSpec:124 EmbedDisambiguationSpec:15
EmbedDisambiguationSpec:72 EmbedDisambiguationSpec:138 EmbedDisambiguationSpec:296 EmbedDisambiguationSpec:302 EmbedDisambiguationSpec:393
EmbedDisambiguationSpec:408 EmbedDisambiguationSpec:411 EmbedDisambiguationSpec:499 EmbedDisambiguationSpec:502 EmbedInnerJoinSpec:278
EmbedInnerJoinSpec:281 EmbedInnerJoinSpec:284 EmbedInnerJoinSpec:310 InsertSpec:716 InsertSpec:757 JsonOperatorSpec:318 MultipleSchemaSpec:169
MultipleSchemaSpec:220 MultipleSchemaSpec:227 PgSafeUpdateSpec:38 PreparedStatementsSpec:29 QuerySpec:310 QuerySpec:629 QuerySpec:747 QuerySpec:962
QuerySpec:977 QuerySpec:995 RangeSpec:254 RpcSpec:94 RpcSpec:108 RpcSpec:114 RpcSpec:239 RpcSpec:389 RpcSpec:440 RpcSpec:445 RpcSpec:487 RpcSpec:497
RpcSpec:515 RpcSpec:545 RpcSpec:722 RpcSpec:740 RpcSpec:856 RpcSpec:891 RpcSpec:899 RpcSpec:915 RpcSpec:950 RpcSpec:1013 RpcSpec:1129 RpcSpec:1143
RpcSpec:1194 RpcSpec:1269 RpcSpec:1274 RpcSpec:1384 RpcSpec:1417 RpcSpec:1429 UnicodeSpec:28 UpsertSpec:421 UpsertSpec:434 UpsertSpec:471
UpsertSpec:483 UpsertSpec:570
""",
}
