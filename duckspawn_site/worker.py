"""Gunicorn's worker of threads, but a connection that has said nothing yet holds none of them."""

from functools import partial
from selectors import EVENT_READ

from gunicorn.workers.gthread import TConn, ThreadWorker


class Worker(ThreadWorker):
    """Gunicorn's own lets a thread wait five seconds for a new connection's first byte: sixteen silent ones keep everybody waiting.

    Here they wait in the poller from the beginning, as gunicorn has them do after those seconds, and are closed after `keepalive`.
    """

    def enqueue_req(self, conn: TConn) -> None:
        if conn.initialized or conn.data_ready:
            super().enqueue_req(conn)
            return
        conn.sock.setblocking(False)
        conn.set_timeout()
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _cap_keepalive(self, deadline: float) -> None:
        """A stop waits for silent connections no longer than for kept ones."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)
