# One target per step and service: `docker build --target prometheus-gate .` compiles it from source.
# Each image is an empty root with one static binary and the certificate authorities it trusts.
#
# `make images` compiles once for all and puts what it compiled in the place of the first two stages.
FROM docker.io/library/rust:1.95-alpine AS rust
ARG TARGETARCH
RUN apk add --no-cache musl-dev make ca-certificates
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target,id=$TARGETARCH \
    cargo build --release --locked \
      -p bento-image -p bento-retrieve -p canary-create -p canary-decide -p canary-promote -p canary-rollback -p cloudevent-send -p prometheus-gate -p release-record \
      -p answer-counter -p cloudevent-interceptor -p release-page \
 && mkdir -p /out/$TARGETARCH \
 && cp /etc/ssl/certs/ca-certificates.crt /out/ \
 && find target/release -maxdepth 1 -type f -perm -1 -exec cp {} /out/$TARGETARCH/ \;

FROM docker.io/library/golang:1.26-alpine AS go
ARG TARGETARCH
WORKDIR /src
COPY cluster/go/kaniko .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /out/$TARGETARCH/ tool \
 && cp /etc/ssl/certs/ca-certificates.crt /out/

FROM scratch AS bento-image
ARG TARGETARCH
COPY --from=rust /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=rust /out/$TARGETARCH/bento-image /bento-image
USER 65532:65532
ENTRYPOINT ["/bento-image"]

FROM scratch AS bento-retrieve
ARG TARGETARCH
COPY --from=rust /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=rust /out/$TARGETARCH/bento-retrieve /bento-retrieve
USER 65532:65532
ENTRYPOINT ["/bento-retrieve"]

FROM scratch AS canary-create
ARG TARGETARCH
COPY --from=rust /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=rust /out/$TARGETARCH/canary-create /canary-create
USER 65532:65532
ENTRYPOINT ["/canary-create"]

FROM scratch AS canary-decide
ARG TARGETARCH
COPY --from=rust /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=rust /out/$TARGETARCH/canary-decide /canary-decide
USER 65532:65532
ENTRYPOINT ["/canary-decide"]

FROM scratch AS canary-promote
ARG TARGETARCH
COPY --from=rust /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=rust /out/$TARGETARCH/canary-promote /canary-promote
USER 65532:65532
ENTRYPOINT ["/canary-promote"]

FROM scratch AS canary-rollback
ARG TARGETARCH
COPY --from=rust /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=rust /out/$TARGETARCH/canary-rollback /canary-rollback
USER 65532:65532
ENTRYPOINT ["/canary-rollback"]

FROM scratch AS cloudevent-send
ARG TARGETARCH
COPY --from=rust /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=rust /out/$TARGETARCH/cloudevent-send /cloudevent-send
USER 65532:65532
ENTRYPOINT ["/cloudevent-send"]

FROM scratch AS prometheus-gate
ARG TARGETARCH
COPY --from=rust /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=rust /out/$TARGETARCH/prometheus-gate /prometheus-gate
USER 65532:65532
ENTRYPOINT ["/prometheus-gate"]

FROM scratch AS release-record
ARG TARGETARCH
COPY --from=rust /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=rust /out/$TARGETARCH/release-record /release-record
USER 65532:65532
ENTRYPOINT ["/release-record"]

FROM scratch AS answer-counter
ARG TARGETARCH
COPY --from=rust /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=rust /out/$TARGETARCH/answer-counter /answer-counter
USER 65532:65532
ENTRYPOINT ["/answer-counter"]

FROM scratch AS cloudevent-interceptor
ARG TARGETARCH
COPY --from=rust /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=rust /out/$TARGETARCH/cloudevent-interceptor /cloudevent-interceptor
USER 65532:65532
ENTRYPOINT ["/cloudevent-interceptor"]

FROM scratch AS release-page
ARG TARGETARCH
COPY --from=rust /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=rust /out/$TARGETARCH/release-page /release-page
USER 65532:65532
ENTRYPOINT ["/release-page"]

# The builder that bento-build runs as root, laid out as its own image is.
FROM scratch AS kaniko
ARG TARGETARCH
COPY --from=go /out/ca-certificates.crt /kaniko/ssl/certs/ca-certificates.crt
COPY --from=go /out/$TARGETARCH/executor /kaniko/executor
ENV HOME=/root USER=root PATH=/usr/local/bin:/kaniko SSL_CERT_DIR=/kaniko/ssl/certs DOCKER_CONFIG=/kaniko/.docker/
WORKDIR /workspace
USER 0:0
ENTRYPOINT ["/kaniko/executor"]
