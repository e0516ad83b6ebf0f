-- Rows to begin with: of `orlo dev`, as long as the database is new, and of `orlo db reset`. Never of `orlo deploy`.
insert into entries (name, message, hidden) values
  ('Ada', 'The first entry.', false),
  ('Charles', 'Nobody sees this one but its owner.', true);
