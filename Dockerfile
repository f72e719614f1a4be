# The image of m365gw: Debian, Python, the gateway, and a user that may write in four folders only.
#
#   docker build -t m365gw .
#
# docs/containers.md says how it is run.

FROM debian:trixie-slim AS build
# Debian's own fixes shall come in; they keep their version.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements.txt ./
RUN python3 -m venv /opt/m365gw \
 && /opt/m365gw/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY pyproject.toml setup.cfg PACKAGE.md LICENSE ./
COPY m365gw ./m365gw
COPY twisted ./twisted
# The list of plugins is written here, as the root file system is read-only later.
RUN /opt/m365gw/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . \
 && /opt/m365gw/bin/python -c "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))" \
 && /opt/m365gw/bin/python -m compileall -q /opt/m365gw/lib

FROM debian:trixie-slim
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 3650 m365gw \
 && useradd --system --uid 3650 --gid m365gw --home-dir /var/lib/m365gw --no-create-home m365gw \
 && install -d -o m365gw -g m365gw -m 0700 /var/lib/m365gw /var/spool/m365gw \
 && install -d -o root -g m365gw -m 0750 /etc/m365gw \
 && install -d -o m365gw -g m365gw -m 0755 /run/m365gw
COPY --from=build /opt/m365gw /opt/m365gw
RUN ln -s /opt/m365gw/bin/m365gw /usr/local/bin/m365gw
ENV PYTHONUNBUFFERED=1
# A number, so that Kubernetes can see that it is not root.
USER 3650:3650
VOLUME ["/etc/m365gw", "/var/lib/m365gw", "/var/spool/m365gw"]
EXPOSE 25 465 587 8025
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s CMD ["m365gw", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/m365gw/bin/twistd", "-n", "--pidfile=", "m365gw"]
