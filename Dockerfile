# Edge and agent in one image: `docker build --build-arg COMMIT=$(git rev-parse HEAD) -t runnel .`
# It runs the edge by default; `docker run … runnel agent http …` runs the agent.
FROM node:22-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json bunfig.toml deno.json ./
COPY scripts/setup.sh scripts/setup.sh
RUN ./scripts/setup.sh
COPY . .
ARG COMMIT
RUN ./scripts/build.sh ${COMMIT:+--commit "$COMMIT"} --out /out

FROM debian:bookworm-slim
COPY --from=build /out/edge /out/agent /usr/local/bin/
COPY LICENSE /usr/local/share/doc/runnel/LICENSE
COPY scripts/lib/health_check.mjs /usr/local/lib/runnel/health_check.mjs
# A volume takes owner and mode from the folder that it covers first.
RUN install -d -o 65532 -g 65532 -m 0700 /var/lib/runnel
USER 65532:65532
ENV RUNNEL_DATA=/var/lib/runnel
VOLUME /var/lib/runnel
EXPOSE 8080
STOPSIGNAL SIGTERM
# It asks an edge wherever that listens, and calls an agent healthy. There is no curl here, but a JavaScript runtime:
# BUN_BE_BUN=1 makes a compiled program Bun itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 \
  CMD BUN_BE_BUN=1 edge /usr/local/lib/runnel/health_check.mjs
CMD ["edge", "serve"]
