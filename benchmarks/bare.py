"""What benchmarks add to the product's addresses: a view that answers a constant, and a profile of the server.

The constant is the least that a request costs behind our middleware, authentication and throttle.
"""

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from benchmarks.sampling import Sampler
from duckspawn_site import urls

_sampler = Sampler()


class Constant(APIView):
    """Answers without looking at the request."""

    def get(self, request: Request) -> Response:
        return Response({"name": "constant"})

    def post(self, request: Request) -> Response:
        return Response({"name": "constant"}, status=201)


class Samples(APIView):
    """A POST begins to look at the threads, a GET tells what was seen."""

    def get(self, request: Request) -> Response:
        return Response(_sampler.end())

    def post(self, request: Request) -> Response:
        _sampler.begin()
        return Response(status=204)


urlpatterns = [path("bare", Constant.as_view()), path("samples", Samples.as_view()), *urls.urlpatterns]
handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500
