# Builds Horust as one static binary, and three images of it:
#
#   docker build -t horust-quickstart .            starts the example services
#   docker build --target base -t horust .         Debian with Horust and no service, to build upon
#   docker build --target binary -t horust-bin .   the binary alone, for COPY --from

FROM rust:1-bookworm AS builder
WORKDIR /src
# The dependencies first: this layer stays in the cache until a manifest changes.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock build.rs ./
COPY xtask/Cargo.toml xtask/
# The manifest names the benchmarks.
COPY benches benches
RUN mkdir -p src xtask/src \
 && echo 'fn main() {}' | tee src/main.rs > xtask/src/main.rs \
 && touch src/lib.rs \
 && cargo build --release --locked --bin horust
COPY src src
COPY example_services example_services
# The files keep the dates of the checkout, which may be older than the build above.
RUN touch build.rs src/lib.rs src/main.rs \
 && cargo build --release --locked --bin horust \
 && cp target/*/release/horust /horust

FROM scratch AS binary
COPY --from=builder /horust /sbin/horust
STOPSIGNAL SIGTERM
ENTRYPOINT ["/sbin/horust"]

FROM debian:bookworm-slim AS base
COPY --from=builder /horust /sbin/horust
RUN mkdir -p /etc/horust/services
STOPSIGNAL SIGTERM
ENTRYPOINT ["/sbin/horust"]

FROM base AS quickstart
COPY example_services/quickstart /etc/horust/services
