# A static binary and root certificates: no shell, no package manager, and no root.
#
#   docker build --build-arg COMMIT=$(git rev-parse HEAD) -t bulk-unlock .
#   docker run --rm --user "$(id -u)" -v "$PWD:/data" bulk-unlock plan users.csv --sandbox

FROM rust:1.95-alpine3.23 AS build
# For the C in ring.
RUN apk add --no-cache musl-dev=~1.2
WORKDIR /src
COPY . .
# The build context has no repository to read the commit from.
ARG COMMIT=""
RUN BUILD_COMMIT="$COMMIT" cargo build --release --locked

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /src/target/release/bulk-unlock /usr/local/bin/bulk-unlock
# Results are written next to the input: mount a directory that this user may write.
WORKDIR /data
ENTRYPOINT ["/usr/local/bin/bulk-unlock"]
