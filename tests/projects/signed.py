"""Somebody who is signed in to the console."""

from django.contrib.auth.models import User
from django.test import Client

from tests.conftest import user_with_role


class Person:
    """A client of the console with a session of its own, and the user behind it."""

    def __init__(self, role: str, *, checks: bool = False) -> None:
        self.user = User.objects.filter(username=role).first() or user_with_role(role)
        User.objects.filter(pk=self.user.pk).update(is_staff=True)
        self.client = Client(enforce_csrf_checks=checks)
        self.client.force_login(self.user)

    def get(self, address: str, status: int = 200, **more: str) -> str:
        response = self.client.get(address, **more)
        assert response.status_code == status, response.status_code
        return response.content.decode() if not response.streaming else b"".join(response).decode()

    def post(self, address: str, body: dict | None = None, status: int = 302, **more: str):
        response = self.client.post(address, body or {}, **more)
        assert response.status_code == status, (response.status_code, response.content[-3000:])
        return response
