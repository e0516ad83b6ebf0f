insert into auth.users (id, email) values
  ('00000000-0000-0000-0000-0000000000a1', 'ann@example.org'), ('00000000-0000-0000-0000-0000000000b2', 'bob@example.org'),
  ('00000000-0000-0000-0000-0000000000c3', 'cyd@example.org'), ('00000000-0000-0000-0000-0000000000d4', 'dee@example.org'),
  ('00000000-0000-0000-0000-0000000000e5', 'eve@example.org');
insert into profiles (id, handle, full_name, birthday, bio, links, settings, last_ip, network, rating, height_m, wakes_at, zone_time, joined_at, seen_at, is_public) values
  ('00000000-0000-0000-0000-0000000000a1', 'Ann', 'Ann Äpfel', '1990-02-28', 'hi', '{https://a.example,"with, comma"}', '{"theme": "dark", "n": 1.50}', '10.0.0.1', '10.0.0.0/8', 4.5, 1.7, '06:30', '06:30+02', '2024-01-02T03:04:05.678901Z', '2024-02-03 04:05:06', true),
  ('00000000-0000-0000-0000-0000000000b2', 'bob', 'bob o''hara', '1985-12-31', '', '{}', '{"theme": "light", "deep": {"a": [1, 2, {"b": null}]}}', '::1', null, 0.1, 1.8000000000000003, '23:59:59.999', null, '2024-01-01T00:00:00Z', null, false),
  ('00000000-0000-0000-0000-0000000000c3', 'cyd', 'Cyd 日本', null, E'line\nbreak', '{""}', '{}', '192.168.1.5/24', '192.168.0.0/16', null, null, null, '12:00:00-03:30', '2023-06-15T12:00:00+05:45', '1969-07-20 20:17:40', true),
  ('00000000-0000-0000-0000-0000000000d4', 'DEE', null, '2000-02-29', null, '{NULL,"NULL"}', '{"quote": "\"", "back": "\\"}', null, null, 1e-20, 1e300, '00:00', '00:00Z', '2020-02-29T00:00:00Z', '9999-12-31 23:59:59', false);
insert into organisations (id, name, slug, owner, plan, seats, discount) values
  ('10000000-0000-0000-0000-000000000001', 'Acme', 'acme', '00000000-0000-0000-0000-0000000000a1', 'pro', 10, 12.50),
  ('10000000-0000-0000-0000-000000000002', 'Bakery & Sons', 'bakery-and-sons', '00000000-0000-0000-0000-0000000000b2', 'free', 3, null),
  ('10000000-0000-0000-0000-000000000003', 'Empty', 'empty', '00000000-0000-0000-0000-0000000000e5', 'gold', 1, 100);
insert into members (org, who, role, since) values
  ('10000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000a1', 'owner', '2024-01-01'),
  ('10000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b2', 'member', '2024-02-01'),
  ('10000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000d4', 'guest', '2024-03-01'),
  ('10000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-0000000000b2', 'owner', '2023-12-01'),
  ('10000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-0000000000c3', 'admin', '2024-01-15');
insert into invites (org, mail, token, role, expires_at) values
  ('10000000-0000-0000-0000-000000000001', 'Eve@Example.org', '\xdeadbeef', 'member', '2025-01-01T00:00:00Z'),
  ('10000000-0000-0000-0000-000000000002', 'ann@example.org', '\x', 'guest', null);
insert into teams values
  ('10000000-0000-0000-0000-000000000001', 'core', 'Core team', '00000000-0000-0000-0000-0000000000b2'),
  ('10000000-0000-0000-0000-000000000001', 'ops', 'Ops', null),
  ('10000000-0000-0000-0000-000000000002', 'core', 'Ovens', '00000000-0000-0000-0000-0000000000c3');
insert into team_members values
  ('10000000-0000-0000-0000-000000000001', 'core', '00000000-0000-0000-0000-0000000000a1', '1 day 02:03:04'),
  ('10000000-0000-0000-0000-000000000001', 'core', '00000000-0000-0000-0000-0000000000b2', '24 hours'),
  ('10000000-0000-0000-0000-000000000002', 'core', '00000000-0000-0000-0000-0000000000c3', '1 mon');
insert into devices (id, owner, push_token, platform, os_version, active) values
  ('20000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000a1', 't1', 'ios', 17.2, true),
  ('20000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-0000000000b2', 't2', 'android', 14, true),
  ('20000000-0000-0000-0000-000000000003', '00000000-0000-0000-0000-0000000000b2', 't1', 'web', null, false),
  ('20000000-0000-0000-0000-000000000004', '00000000-0000-0000-0000-0000000000b2', 't1', 'web', 1.5, null);
insert into follows values ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-0000000000b2'), ('00000000-0000-0000-0000-0000000000b2', '00000000-0000-0000-0000-0000000000a1'), ('00000000-0000-0000-0000-0000000000c3', '00000000-0000-0000-0000-0000000000a1');
insert into secrets values ('00000000-0000-0000-0000-0000000000a1', 'ann''s', 11), ('00000000-0000-0000-0000-0000000000b2', 'bob''s', 0), ('00000000-0000-0000-0000-0000000000c3', '{bad json', 33);
insert into posts (id, author, org, title, body, seen, tags, meta, raw, score, published_at, deleted_at) values
  (1, '00000000-0000-0000-0000-0000000000a1', null, 'Hello World', 'the first post of all', 'public', '{intro,news}', '{"lang": "en", "n": 1}', '{"b": 1,  "a": [1, 2]}', 1.10, '2024-01-01T10:00:00Z', null),
  (2, '00000000-0000-0000-0000-0000000000a1', '10000000-0000-0000-0000-000000000001', 'members only', 'quarterly figures', 'members', '{}', '{"lang": "de", "n": 10, "deep": {"a": [true, null, "x"]}}', null, 10, '2024-02-01T00:00:00Z', null),
  (3, '00000000-0000-0000-0000-0000000000a1', null, 'draft', '', 'private', null, null, '[1,2]', null, null, null),
  (4, '00000000-0000-0000-0000-0000000000b2', '10000000-0000-0000-0000-000000000002', 'Bread 100%', 'sourdough_starter', 'public', '{food}', '{"n": "x"}', '"s"', 2.5, '2024-03-01T00:00:00Z', null),
  (5, '00000000-0000-0000-0000-0000000000b2', '10000000-0000-0000-0000-000000000001', 'bob for acme', 'notes', 'members', '{news}', '{"n": null}', 'null', -3, '2024-03-02T00:00:00Z', null),
  (6, '00000000-0000-0000-0000-0000000000c3', null, 'deleted', 'gone', 'public', '{food,news}', '[]', null, 0, '2024-01-01T00:00:00Z', '2024-06-01T00:00:00Z'),
  (7, '00000000-0000-0000-0000-0000000000c3', null, 'future', 'not yet', 'public', '{}', '"str"', null, 99999999999999999999.5, '2030-01-01T00:00:00Z', null),
  (8, '00000000-0000-0000-0000-0000000000d4', null, 'déjà vu', 'Ünïcode 日本語', 'public', '{intro}', '{"lang": "fr", "n": 1.0}', null, 1.1, '2024-01-01T10:00:00Z', null);
alter table posts alter column id restart with 100;
insert into comments (id, post, parent, author, body, hidden, at) values
  (1, 1, null, '00000000-0000-0000-0000-0000000000b2', 'first!', false, '2024-01-01T11:00:00Z'),
  (2, 1, 1, '00000000-0000-0000-0000-0000000000a1', 'welcome', false, '2024-01-01T12:00:00Z'),
  (3, 1, null, '00000000-0000-0000-0000-0000000000c3', 'spam', true, '2024-01-02T00:00:00Z'),
  (4, 2, null, '00000000-0000-0000-0000-0000000000b2', 'good figures', false, '2024-02-02T00:00:00Z'),
  (5, 4, null, '00000000-0000-0000-0000-0000000000a1', 'tasty', false, '2024-03-03T00:00:00Z');
select setval('comments_id_seq', 50);
insert into likes (post, who, weight) values (1, '00000000-0000-0000-0000-0000000000b2', 1), (1, '00000000-0000-0000-0000-0000000000c3', 3), (4, '00000000-0000-0000-0000-0000000000a1', 2), (2, '00000000-0000-0000-0000-0000000000b2', 1);
insert into tags values ('intro', '#ff0000', 2), ('news', '#00ff00', 9000000000000000000), ('food', '#0000ff', 0);
insert into post_tags values (1, 'intro'), (1, 'news'), (4, 'food'), (8, 'intro'), (2, 'news');
insert into files (id, owner, bucket, path, size, digest) values
  ('30000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000a1', 'home', '00000000-0000-0000-0000-0000000000a1/a.txt', 10, '\x00ff'),
  ('30000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-0000000000b2', 'home', '00000000-0000-0000-0000-0000000000b2/b/c.txt', 0, null),
  ('30000000-0000-0000-0000-000000000003', null, 'public', 'logo.png', 4096, '\xcafe'),
  ('30000000-0000-0000-0000-000000000004', null, 'public', 'hidden/x.png', 1, '\x01');
insert into conversations (id, topic, participants) values
  (1, 'ann and bob', '{00000000-0000-0000-0000-0000000000a1,00000000-0000-0000-0000-0000000000b2}'), (2, null, '{00000000-0000-0000-0000-0000000000b2,00000000-0000-0000-0000-0000000000c3}'), (3, 'empty', '{}');
insert into messages (id, conversation, sender, text, sent_at, reactions) values
  (1, 1, '00000000-0000-0000-0000-0000000000a1', 'hello bob', '2024-05-01T09:00:00Z', '[{"e": "👍", "by": 1}]'),
  (2, 1, '00000000-0000-0000-0000-0000000000b2', 'hello ann', '2024-05-01T09:01:00Z', '[]'),
  (3, 2, '00000000-0000-0000-0000-0000000000c3', 'private', '2024-04-01T00:00:00Z', '[]');
alter table messages alter column id restart with 10;
insert into notifications (id, recipient, kind, payload, read_at) values
  (1, '00000000-0000-0000-0000-0000000000a1', 'like', '{"post": 1}', null), (2, '00000000-0000-0000-0000-0000000000a1', 'like', '{"post": 2, "muted": true}', null),
  (3, '00000000-0000-0000-0000-0000000000b2', 'mention', '{"n": 0}', '2024-01-01T00:00:00Z');
insert into polls (id, question, choices, counts, closes_at) values (1, 'tabs?', '{yes,no}', '{3,4}', null), (2, 'old', '{a,b,c}', null, '2020-01-01T00:00:00Z'), (3, 'open', '{x,y}', '{}', '2099-01-01T00:00:00Z');
alter table polls alter column id restart with 10;
insert into votes values (1, '00000000-0000-0000-0000-0000000000a1', 1), (1, '00000000-0000-0000-0000-0000000000b2', 2);
insert into shop.items (sku, name, org, price, weight_kg, attributes, available_from, active) values
  ('MUG', 'Mug', '10000000-0000-0000-0000-000000000001', 1250, 0.350, '{"colour": "red", "sizes": ["s", "m"]}', '2024-01-01', true),
  ('TSHIRT', 'T-shirt', '10000000-0000-0000-0000-000000000001', 2000, 0.2, '{"colour": "blue"}', null, true),
  ('OLD', 'Old thing', '10000000-0000-0000-0000-000000000001', 1, null, null, '0044-03-15 BC', false),
  ('BREAD', 'Bread', '10000000-0000-0000-0000-000000000002', 450, 1.000, '{"vegan": true}', 'infinity', true);
insert into shop.prices values ('MUG', 'EUR', 12.50), ('MUG', 'USD', 13.99), ('BREAD', 'EUR', 4.5), ('TSHIRT', 'EUR', 20);
insert into shop.orders (id, buyer, state, placed_at, note, total) values
  (1, '00000000-0000-0000-0000-0000000000a1', 'paid', '2024-02-01T00:00:00Z', null, 25.00), (2, '00000000-0000-0000-0000-0000000000a1', 'cart', null, 'gift', null),
  (3, '00000000-0000-0000-0000-0000000000b2', 'shipped', '2024-01-15T08:30:00+01:00', '', 4.50), (4, '00000000-0000-0000-0000-0000000000c3', 'cart', null, null, null);
alter table shop.orders alter column id restart with 10;
insert into shop.order_lines (order_id, line, sku, quantity, unit_price) values (1, 1, 'MUG', 2, 12.50), (2, 1, 'TSHIRT', 1, 20), (2, 2, 'BREAD', 3, 4.50), (3, 1, 'BREAD', 1, 4.50), (4, 1, 'MUG', 1, 0.1);
insert into shop.shipments values (3, 1, 1, '2024-01-16T00:00:00Z'), (1, 1, 1, null);
insert into events (id, org, title, starts_at, ends_at, all_day, lasts, place) values
  ('40000000-0000-0000-0000-000000000001', '10000000-0000-0000-0000-000000000001', 'Kick-off', '2024-03-31T00:30:00Z', '2024-03-31T02:30:00Z', false, '2 hours', 'Rome'),
  ('40000000-0000-0000-0000-000000000002', '10000000-0000-0000-0000-000000000002', 'Bake sale', '2024-10-27T00:30:00Z', '2024-10-28T00:30:00Z', true, '1 day', null);
insert into attendance values ('40000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000a1', 'yes'), ('40000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b2', 'maybe'), ('40000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-0000000000c3', 'no');
insert into reports (reporter, about, severity) values ('00000000-0000-0000-0000-0000000000b2', 'post 3', 2), (null, 'anonymous tip', 5);
insert into private.audit (what, who) values ('seeded', null);
insert into settings values ('name', '"Guild"', 's1'), ('limits', '{"posts": 10}', 's2'), ('internal.key', '1', 's3');
insert into ledger (id, account, amount) values (1, '00000000-0000-0000-0000-0000000000a1', 100.0001), (2, '00000000-0000-0000-0000-0000000000b2', -50), (3, '00000000-0000-0000-0000-0000000000b2', 0.5);
alter table ledger alter column id restart with 10;
