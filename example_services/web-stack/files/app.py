"""Counts its visitors in PostgreSQL, and its requests in Redis.

libpq finds the database by the PG… variables of its environment.
"""

import json
import os

import psycopg2
import redis

cache = redis.Redis(unix_socket_path=os.environ["CACHE"])


def visit():
    connection = psycopg2.connect(connect_timeout=3)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO visits DEFAULT VALUES RETURNING id")
            return cursor.fetchone()[0]
    finally:
        connection.close()


def requests():
    try:
        return cache.incr("requests")
    except redis.RedisError:
        return None  # It works without.


def application(environ, start_response):
    if environ["PATH_INFO"] == "/health":
        status, body = "200 OK", {}
    else:
        try:
            status, body = "200 OK", {"visit": visit(), "requests": requests()}
        except psycopg2.Error as error:
            status, body = "503 Service Unavailable", {"error": str(error).strip()}
    text = json.dumps(body).encode() + b"\n"
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
    return [text]
