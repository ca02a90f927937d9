// SPDX-License-Identifier: MIT
// better_sse.cjs: better-sse on Node's HTTP server: a channel that broadcasts, on PORT.
const http = require("http");
const { createRequire } = require("module");
const { createChannel, createSession } = createRequire(process.cwd() + "/")("better-sse");

const channel = createChannel();

const server = http.createServer(async (request, response) => {
  if (request.method === "GET") {
    const session = await createSession(request, response, { keepAlive: null, serializer: String });
    channel.register(session);
    return;
  }
  let body = "";
  request.setEncoding("utf8");
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    channel.broadcast(body);
    response.writeHead(204).end();
  });
});

server.keepAliveTimeout = 3600 * 1000;
server.maxRequestsPerSocket = 0;
server.listen({ port: Number(process.env.PORT), host: "127.0.0.1", backlog: 4096 });
