# Container image of smsgw; docs/operations.rst says how to run it.
FROM python:3.11-slim AS build
COPY . /src
RUN pip wheel --no-cache-dir --wheel-dir /wheels /src

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/smsgw --shell /usr/sbin/nologin smsgw
RUN install -d -o smsgw -g smsgw -m 700 /var/lib/smsgw
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels smsgw
USER 10001
WORKDIR /var/lib/smsgw
VOLUME /var/lib/smsgw
EXPOSE 2775 2525 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["smsgw", "health", "-c", "/etc/smsgw/gw.ini"]
CMD ["twistd", "-n", "--pidfile=", "smsgw", "-c", "/etc/smsgw/gw.ini"]
