"""What every endpoint shares: credentials, error shapes, headers, preflight.

Only Jupyter Server and tornado are imported here, so that an answer can be given even where the
rooms behind the API cannot be brought up.
"""

from __future__ import annotations

import base64
import re
import time
from types import TracebackType
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado.http1connection import HTTP1Connection
from tornado.web import HTTPError, RequestHandler

from ..errors import CodeInterpreterError, InvalidRequest, NotFound, PayloadTooLarge
from ..ids import new_id
from ..quiet import kind, trace
from . import dialect
from .dialect import Dialect
from .errors import InvalidURL, Unauthenticated, WrongMethod, error_reply
from .routing import API_ROOT, EXTENSION_ROOT, BodyMeter
from .settings import ApiSettings

NO_CREDENTIALS = "Missing bearer or basic authentication in header"
BAD_KEY = (
    "Incorrect API key provided: {key}. The API key is a token of this Jupyter server, as "
    "`jupyter server list` shows it, or one made on JupyterHub's Token page."
)

NO_VECTOR_STORES = (
    "Vector stores are not available on this server: give files to the code interpreter instead."
)

# Headers the official clients send from a browser, beyond those Jupyter Server allows itself.
_ALLOWED = re.compile(
    r"accept|content-type|authorization|api-key|last-event-id|idempotency-key|user-agent|range"
    r"|x-xsrftoken|x-requested-with|openai-[a-z-]+|x-stainless-[a-z-]+|x-ms-[a-z-]+|x-ci-[a-z-]+"
)
_EXPOSED = "x-request-id, openai-processing-ms, openai-poll-after-ms, content-disposition"


class BaseHandler(APIHandler):
    """Authenticates as the API's clients do, and answers errors in the API's shape.

    Jupyter's own rules stay in force: XSRF for cookies, the origin check, the authorizer. What
    differs from a stock handler: the key may come as ``api-key`` or as basic auth with an empty
    user, and whoever has no valid key gets 401 for every verb.
    """

    dialect = Dialect()

    def initialize(
        self, *, api: ApiSettings, body: BodyMeter, beta: bool = False, v1_only: bool = False
    ) -> None:
        """Called by tornado with what the url table says of the route."""
        self.api = api
        self.body = body
        self.beta = beta
        self.v1_only = v1_only

    @property
    def request_id(self) -> str:
        """The id of this request: in a header of the answer, in the log, in the text of a crash."""
        if not hasattr(self, "_request_id"):
            self._request_id = new_id("request")
            self._started = time.monotonic()
        return self._request_id

    @property
    def api_path(self) -> str:
        """The path below the API's root, ``/v1/…``, as error texts name it."""
        path: str = self.request.path
        for root in (API_ROOT, EXTENSION_ROOT):
            prefix = url_path_join(self.base_url, root)
            if path == prefix or path.startswith(prefix + "/"):
                return path[len(prefix) :] or "/"
        return path

    # ---- before the verb -------------------------------------------------------------------

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who asks and which form of the API they speak; raises what `write_error` maps."""
        given = self._take_credentials()
        problem = self._choose_dialect()
        try:
            await super().prepare()
        except HTTPError as error:
            # Stock code says 403 to a bad key, for want of an XSRF token. An identity provider that
            # fails (a hub that does not answer) says so itself, before there is a user or none.
            nobody = getattr(self, "_jupyter_current_user", self) is None
            if error.status_code == 403 and nobody and self._known_host and not self._preflight:
                raise self._unauthenticated(given) from None
            raise
        if self._preflight:
            return
        if self.current_user is None:
            raise self._unauthenticated(given)
        if problem is not None:
            raise problem
        if self.v1_only and self.dialect.version != "v1":
            raise InvalidURL(str(self.request.method), self.api_path)
        if self.body.exceeded:
            raise PayloadTooLarge(f"Request body too large: at most {self.body.limit} bytes.")

    @property
    def _preflight(self) -> bool:
        return self.request.method == "OPTIONS"

    def check_host(self) -> bool:
        """Jupyter's defence against DNS rebinding; remembered, since its 403 is no 401."""
        self._known_host: bool = super().check_host()
        return self._known_host

    def _take_credentials(self) -> str | None:
        """The key as the client sent it, moved to where Jupyter's identity providers look."""
        headers = self.request.headers
        key = headers.get("api-key")
        if key is not None:
            # JupyterHub logs the headers of failed requests, and hides only Authorization.
            del headers["api-key"]
            headers.setdefault("Authorization", f"Bearer {key}")
        scheme, _, value = headers.get("Authorization", "").partition(" ")
        value = value.strip()
        if scheme.lower() == "basic":
            user, colon, password = _basic(value)
            if not colon or user:
                return None  # a proxy's own login, which is none of ours
            headers["Authorization"] = f"Bearer {password}"
            value = password
        return value or self.get_query_argument("token", "") or None

    def _unauthenticated(self, given: str | None) -> Unauthenticated:
        if given is None:
            return Unauthenticated(NO_CREDENTIALS)
        shown = f"{given[:4]}****{given[-4:]}" if len(given) > 12 else "****"
        return Unauthenticated(BAD_KEY.format(key=shown), "invalid_api_key")

    def _choose_dialect(self) -> InvalidRequest | None:
        query = {k: v[-1].decode("latin-1") for k, v in self.request.query_arguments.items()}
        v1_path = not re.match(r"/openai(?!/v1(/|$))", "/openai" + self.api_path)
        try:
            self.dialect = dialect.choose(
                v1_path=v1_path,
                query=query,
                headers=self.request.headers,
                strict=self.api.strict,
                beta=self.beta,
            )
        except dialect.UnknownVersion as error:
            self.dialect = Dialect("azure")
            return error
        except InvalidRequest as error:
            return error
        return None

    # ---- answers ---------------------------------------------------------------------------

    def set_signed_cookie(self, *_args: Any, **_options: Any) -> None:
        """None is set: who shows a key does so with each request, and a login would outlive the key."""

    set_secure_cookie = set_signed_cookie

    def set_default_headers(self) -> None:
        """Jupyter's headers, and those of the API's own servers."""
        super().set_default_headers()
        self.set_header("x-request-id", self.request_id)
        self.set_header("openai-version", "2020-10-01")

    def set_cors_headers(self) -> None:
        """Jupyter's rule of who may read the answer; browsers also show clients our headers."""
        super().set_cors_headers()
        self.set_header("Access-Control-Expose-Headers", _EXPOSED)

    def stamp(self) -> None:
        """Set the headers known only when the answer begins."""
        elapsed = time.monotonic() - self._started
        self.set_header("openai-processing-ms", str(max(1, round(elapsed * 1000))))
        echo = self.request.headers.get("x-ms-client-request-id")
        if echo is not None and self.dialect.flavour != "openai":
            self.set_header("x-ms-client-request-id", echo[:128])

    def write_json(self, body: Any) -> None:
        """Answer with *body*, an object or what JSON is made of, indented as the API's servers do."""
        # not the json module, which is slow where it indents; imported by whatever made the body
        from pydantic_core import to_json

        self.write_text(to_json(body, indent=2))

    def write_text(self, text: str | bytes) -> None:
        """Answer with what is JSON already."""
        self.stamp()
        self.finish(text)

    def compute_etag(self) -> None:
        """No tag: nobody asks whether an object is still the same, and whole lists would be hashed."""

    def hang_up(self) -> None:
        """Close the connection of a client that is gone, or takes nothing more."""
        connection = self.request.connection
        if isinstance(connection, HTTP1Connection):
            connection.close()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Called by tornado for whatever a verb or `prepare` raised."""
        error = kwargs.get("exc_info", (None, HTTPError(status_code)))[1]
        if isinstance(error, HTTPError) and error.status_code == 405:
            error = WrongMethod(str(self.request.method), self.api_path, self._verbs())
        reply = error_reply(error, self.request_id)
        self.set_status(reply.status)
        for name, value in reply.headers.items():
            self.set_header(name, value)
        route = isinstance(error, InvalidURL | WrongMethod | dialect.UnknownVersion)
        if isinstance(error, dialect.UnknownVersion):
            self.set_status(404)
        self.write_json(self.dialect.error_body(reply, route=route))

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log crashes with the request's id; errors raised on purpose are in the access log."""
        if isinstance(value, CodeInterpreterError):
            self.log.debug("%s: refused: %s", self.request_id, kind(value))
        elif isinstance(value, HTTPError) or value is None:
            super().log_exception(typ, value, tb)
        else:
            self.log.error("%s %s: %s", self.request_id, self.request.path, trace(value))

    def _verbs(self) -> list[str]:
        stock = RequestHandler._unimplemented_method
        return [m for m in self.SUPPORTED_METHODS if getattr(type(self), m.lower()) is not stock]

    @allow_unauthenticated
    def options(self, *_args: Any, **_kwargs: Any) -> None:
        """CORS preflight: whether the answer may be read is decided by Jupyter's settings."""
        super().options()
        asked = self.request.headers.get("Access-Control-Request-Headers", "").lower().split(",")
        allowed = [name for name in map(str.strip, asked) if _ALLOWED.fullmatch(name)]
        if allowed:
            self.set_header("Access-Control-Allow-Headers", ", ".join(allowed))
        self.set_header("Access-Control-Max-Age", "600")


class NotFoundHandler(BaseHandler):
    """Every address below the API's roots that the url table does not name."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse strangers first, then say that there is nothing here."""
        await super().prepare()
        if not self._preflight:
            if re.match(r"(/v1)?/vector_stores(/|$)", self.api_path):
                raise NotFound(NO_VECTOR_STORES)
            raise InvalidURL(str(self.request.method), self.api_path)


class UnavailableHandler(BaseHandler):
    """Stands in for every route while the rooms behind the API cannot be brought up."""

    def initialize(  # type: ignore[override]
        self, *, api: ApiSettings, body: BodyMeter, reason: CodeInterpreterError
    ) -> None:
        """*reason* is told to those who may know it."""
        super().initialize(api=api, body=body)
        self.reason = reason

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse strangers first, then say what is wrong."""
        await super().prepare()
        if not self._preflight:
            raise self.reason


def _basic(value: str) -> tuple[str, str, str]:
    """User, colon, password of a basic authorization; no colon where it makes no sense."""
    try:
        decoded = base64.b64decode(value, validate=True).decode()
    except ValueError:  # also characters that no header of that kind has
        return value, "", ""
    return decoded.partition(":")
