import { Hono } from 'hono';
import { fire } from 'hono/service-worker';
import { getEnvironment } from 'wasi:cli/environment@0.2.10';

type Env = { Variables: { env: Record<string, string> } };
const app = new Hono<Env>();

app.use('*', async (c, next) => {
  c.set('env', Object.fromEntries(getEnvironment())); // asked for each request: an instance starts as it was built
  await next();
});

app.get('/hello/:name', (c) => c.json({ greeting: c.var.env.GREETING ?? 'Hello', name: c.req.param('name') }));

app.get('/fetch', async (c) => {
  const url = c.req.query('url');
  return url ? fetch(url) : c.text('which url?\n', 400);
});

app.notFound((c) => c.text('There is /hello/NAME, and /fetch?url=URL.\n', 404));

app.onError((error, c) => {
  console.error(error.stack ?? String(error)); // orlo dev shows it, orlo logs keeps it
  return c.text('That did not work.\n', 500);
});

fire(app, { fetch: undefined }); // undefined: what no route takes is answered by notFound, and not fetched
