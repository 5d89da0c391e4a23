"""A view of REST framework that answers a constant: the least that a request costs behind our middleware and authentication."""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from duckspawn_site import urls


class Constant(APIView):
    """Answers without looking at the request."""

    def get(self, request: Request) -> Response:
        return Response({"name": "constant"})

    def post(self, request: Request) -> Response:
        return Response({"name": "constant"}, status=201)


urlpatterns = [path("bare", Constant.as_view()), *urls.urlpatterns]
handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500
