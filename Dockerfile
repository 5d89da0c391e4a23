# DuckDB Spawn in a container: docs/operations.md says how to run it. It runs as a plain user and writes /data and /tmp alone.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.txt /build/
RUN python -m venv /venv && /venv/bin/pip install --requirement /build/requirements.txt

FROM python:3.13-slim
RUN groupadd --gid 10001 duckspawn \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin duckspawn \
    && install --directory --owner=10001 --group=10001 --mode=750 /data
COPY --from=build /venv /venv
COPY . /app
WORKDIR /app
# The shared-memory folder takes gunicorn's heartbeat; everything else that is written goes to /data.
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DUCKSPAWN_ENV_FILE=/dev/null HOST=0.0.0.0 PORT=8000 \
    DUCKDB_PATH=/data/data_product.db DATABASE_URL=sqlite:////data/duckspawn.sqlite3 STATIC_DIR=/data/static
RUN python -m compileall -q /app/schema_registry /app/projects /app/monitoring /app/duckspawn_site
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/monitoring/ready', timeout=4)"]
ENTRYPOINT ["python", "manage.py"]
CMD ["up"]
