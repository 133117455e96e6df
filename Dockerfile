# One target per step and service: `docker build --target prometheus-gate .` compiles it from source.
# Each image is an empty root with one static binary and the certificate authorities it trusts.
#
# `make images` compiles once on the host and passes the finished binaries in as BINARIES.
ARG BINARIES=compiled

FROM docker.io/library/rust:1.95-alpine AS compiled
RUN apk add --no-cache musl-dev make ca-certificates
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked \
      -p bento-retrieve -p canary-create -p canary-promote -p canary-rollback -p cloudevent-send -p prometheus-gate \
      -p cloudevent-interceptor \
 && mkdir /out \
 && cp /etc/ssl/certs/ca-certificates.crt /out/ \
 && find target/release -maxdepth 1 -type f -perm -1 -exec cp {} /out/ \;

FROM ${BINARIES} AS binaries

FROM scratch AS bento-retrieve
COPY --from=binaries /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=binaries /out/bento-retrieve /bento-retrieve
USER 65532:65532
ENTRYPOINT ["/bento-retrieve"]

FROM scratch AS canary-create
COPY --from=binaries /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=binaries /out/canary-create /canary-create
USER 65532:65532
ENTRYPOINT ["/canary-create"]

FROM scratch AS canary-promote
COPY --from=binaries /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=binaries /out/canary-promote /canary-promote
USER 65532:65532
ENTRYPOINT ["/canary-promote"]

FROM scratch AS canary-rollback
COPY --from=binaries /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=binaries /out/canary-rollback /canary-rollback
USER 65532:65532
ENTRYPOINT ["/canary-rollback"]

FROM scratch AS cloudevent-send
COPY --from=binaries /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=binaries /out/cloudevent-send /cloudevent-send
USER 65532:65532
ENTRYPOINT ["/cloudevent-send"]

FROM scratch AS prometheus-gate
COPY --from=binaries /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=binaries /out/prometheus-gate /prometheus-gate
USER 65532:65532
ENTRYPOINT ["/prometheus-gate"]

FROM scratch AS cloudevent-interceptor
COPY --from=binaries /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=binaries /out/cloudevent-interceptor /cloudevent-interceptor
USER 65532:65532
ENTRYPOINT ["/cloudevent-interceptor"]
