# A small image of the server: docker build -t runqueue .
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No scripts: the driver brings its binary along for this Node, and the sources are not here yet.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --omit=optional --ignore-scripts
# Then what nothing here runs, more than half of all: SQLite's sources, other systems' binaries, maps, types.
RUN cd node_modules/better-sqlite3 && rm -r deps src && find prebuilds -type f ! -name 'linux-*' -delete \
  && cd /app && find dist node_modules -type f \( -name '*.map' -o -name '*.ts' \) -delete -o -type d -empty -delete

FROM node:24-slim
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY drizzle ./drizzle
COPY web ./web
RUN ln -s /app/dist/cli/bin.js /usr/local/bin/runqueue && install -d -o node -g node /data
USER node
VOLUME /data
# Other machines reach it, so it starts only when there is a token: see the README.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8765 DATABASE_URL=file:/data/runqueue.db
EXPOSE 8765
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/health').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# It leaves in order at SIGTERM. Before it listens for that, as in its first moments, the kernel drops the
# signal where it is process 1: `docker run --init`, as in compose.yaml, is an init that does not.
CMD ["runqueue", "serve"]
