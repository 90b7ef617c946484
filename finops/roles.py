"""The database and its roles: an owner for migrations, an application role, a reader, the sealer.

Nothing here needs Django. An administrator's URL comes in; a URL for each role goes out. None of the roles
is superuser or bypasses row security, and the application role owns nothing. What each may do with our own
tables stands in the migrations that make them; only tables of libraries are granted here, app by app.
"""

import secrets
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

DATABASE_DEFAULT = "tokenledger"
OWNER, APP, READER = "tokenledger_owner", "tokenledger_app", "tokenledger_reader"
SEALER = "tokenledger_sealer"
ROLE_OF_VARIABLE = {
    "DATABASE_OWNER_URL": OWNER,
    "DATABASE_APP_URL": APP,
    "DATABASE_READER_URL": READER,
    "DATABASE_SEALER_URL": SEALER,
}
ROLE_ATTRIBUTES = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"

# The Django apps that are not ours and whose tables the application role reads and writes.
LIBRARY_APPS = ("account", "auth", "axes", "contenttypes", "sessions")

FIND_ROLES_SQL = "SELECT rolname FROM pg_roles WHERE rolname = ANY(%(roles)s)"
FIND_DATABASE_SQL = "SELECT 1 FROM pg_database WHERE datname = %(database)s"


class RolesRefused(RuntimeError):
    """The administrator's URL does not do what it must; the text is one sentence with the cure."""


def derive_urls(*, administrator_url: str, known: Mapping[str, str], database: str | None = None) -> dict[str, str]:
    """The URLs of the four roles on the administrator's server, by the name of their variable.

    known: URLs of an earlier time; their passwords are kept, missing ones are generated.
    database: its name; without one, that of the administrator's URL, or `tokenledger` where that says none.
    """
    parts = _read_url(administrator_url)
    name = database or _name_database(parts)
    return {
        variable: _make_url({**parts, "user": role, "password": _keep_password(known.get(variable)), "dbname": name})
        for variable, role in ROLE_OF_VARIABLE.items()
    }


def _read_url(url: str) -> dict[str, object]:
    try:
        return dict(conninfo_to_dict(url))
    except psycopg.ProgrammingError:
        raise RolesRefused(
            "DATABASE_URL is not a PostgreSQL URL: write it as postgresql://user:password@host:port/database."
        ) from None


def _name_database(parts: Mapping[str, object]) -> str:
    named = str(parts.get("dbname", ""))
    return DATABASE_DEFAULT if named in ("", "postgres", "template1") else named


def _keep_password(url: str | None) -> str:
    return (conninfo_to_dict(url).get("password") if url else None) or secrets.token_urlsafe(24)


def _make_url(parts: Mapping[str, object]) -> str:
    """Host and port go into the query, where a socket's folder fits as well as a name."""
    rest = {name: value for name, value in parts.items() if name not in ("user", "password", "dbname")}
    login = f"{quote(str(parts['user']), safe='')}:{quote(str(parts['password']), safe='')}"
    return f"postgresql://{login}@/{quote(str(parts['dbname']), safe='')}?{urlencode(rest, safe='/')}"


def ensure_roles(*, administrator_url: str, urls: Mapping[str, str]) -> None:
    """Make the roles and the database that `urls` name, or put their passwords and rights right.

    A second call changes nothing. Raises RolesRefused when the administrator is not reached or may not do it.
    """
    parts = {variable: conninfo_to_dict(url) for variable, url in urls.items()}
    database = str(parts["DATABASE_OWNER_URL"]["dbname"])
    passwords = {ROLE_OF_VARIABLE[variable]: str(part["password"]) for variable, part in parts.items()}
    try:
        with _connect_administrator(administrator_url) as connection:
            _put_roles(connection, passwords)
            _put_database(connection, database)
        with psycopg.connect(urls["DATABASE_OWNER_URL"], autocommit=True) as connection:
            _grant_entry(connection, database)
    except psycopg.errors.InsufficientPrivilege as error:
        raise RolesRefused(
            f"The role of DATABASE_URL may not prepare the database ({error.diag.message_primary}): "
            "give it CREATEROLE and CREATEDB, or name an administrator."
        ) from None
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise RolesRefused(f"DATABASE_URL does not reach a PostgreSQL server ({reason}): check it.") from None


def _connect_administrator(url: str) -> psycopg.Connection:
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        if "does not exist" not in str(error) or 'database "' not in str(error):
            raise
    # The database of the URL is still to be made: PostgreSQL always has this one.
    return psycopg.connect(make_conninfo(url, dbname="postgres"), autocommit=True, connect_timeout=10)


def _put_roles(connection: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    found = {name for (name,) in connection.execute(FIND_ROLES_SQL, {"roles": list(passwords)})}
    for role, password in passwords.items():
        verb = "ALTER" if role in found else "CREATE"
        # The hash is made here, so that the password is in no statement and no log.
        hashed = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
        connection.execute(
            sql.SQL(f"{verb} ROLE {{}} {_attributes(connection)} PASSWORD {{}}").format(
                sql.Identifier(role), sql.Literal(hashed.decode())
            )
        )
    # PostgreSQL lets one hand a database to a role only as its member.
    connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(OWNER)))
    connection.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(sql.Identifier(READER)))


def _attributes(connection: psycopg.Connection) -> str:
    # Only a superuser may say NOSUPERUSER and the like, and only a superuser's role could have them.
    return ROLE_ATTRIBUTES if connection.info.parameter_status("is_superuser") == "on" else "LOGIN"


def _put_database(connection: psycopg.Connection, database: str) -> None:
    name, owner = sql.Identifier(database), sql.Identifier(OWNER)
    if connection.execute(FIND_DATABASE_SQL, {"database": database}).fetchone() is None:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, owner))
    else:
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))


def _grant_entry(connection: psycopg.Connection, database: str) -> None:
    """As the owner: who may connect, and who may stage rows in temporary tables."""
    name, app, reader, sealer = map(sql.Identifier, (database, APP, READER, SEALER))
    for statement in (
        "REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        "GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {app}",
        "GRANT CONNECT ON DATABASE {name} TO {reader}, {sealer}",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        "GRANT USAGE ON SCHEMA public TO {app}, {reader}, {sealer}",
    ):
        connection.execute(sql.SQL(statement).format(name=name, app=app, reader=reader, sealer=sealer))


def grant_library_tables(*, owner_url: str, tables: Iterable[str]) -> None:
    """Let the application role read and write `tables`, and see which migrations were applied."""
    with psycopg.connect(owner_url, autocommit=True) as connection:
        for table in tables:
            connection.execute(
                sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}").format(
                    sql.Identifier(table), sql.Identifier(APP)
                )
            )
        connection.execute(sql.SQL("GRANT SELECT ON django_migrations TO {}").format(sql.Identifier(APP)))
