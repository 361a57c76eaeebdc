-- The database of the application and what is in it. Each statement can be run again.

\getenv password APP_PASSWORD

SELECT 'CREATE ROLE app LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app')
\gexec
ALTER ROLE app PASSWORD :'password';

SELECT 'CREATE DATABASE visits OWNER app' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'visits')
\gexec

\connect visits
SET ROLE app;
CREATE TABLE IF NOT EXISTS visits (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
