"""Statements that are made up: expressions of every type over the tables of schema.sql, and queries of them."""


def statements(rng, count):
    return []
