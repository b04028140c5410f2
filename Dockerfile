# Build: dependencies from the lock, then the source, then the kernels compiled into numba's cache.
FROM python:3.11-slim AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN python -m pip install --no-cache-dir uv
WORKDIR /opt/tplusone
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --locked --no-dev --no-install-project
COPY app app
COPY engine engine
COPY alembic alembic
COPY alembic.ini ./
RUN uv sync --locked --no-dev
RUN NUMBA_CACHE_DIR=/opt/kernels .venv/bin/python -m app.warm

# Run: the same base, a user without rights, nothing to write but /data and /tmp.
FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tplusone && install -d -o 10001 -g 10001 /data
COPY --from=build /opt/tplusone /opt/tplusone
COPY --from=build /opt/kernels /opt/kernels
ENV PATH=/opt/tplusone/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/tmp/kernels \
    TPLUSONE_HOST=0.0.0.0 \
    TPLUSONE_PORT=8000 \
    TPLUSONE_DATA_DIR=/data
WORKDIR /data
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
# numba writes beside its cache, so the compiled kernels are copied to where writing is allowed.
ENTRYPOINT ["/bin/sh", "-c", "cp -R /opt/kernels /tmp/ && exec tplusone \"$@\"", "tplusone"]
CMD ["serve"]
