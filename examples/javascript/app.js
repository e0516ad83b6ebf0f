import { getEnvironment } from 'wasi:cli/environment@0.2.10';

async function handle(request) {
  const { pathname, searchParams } = new URL(request.url);
  const env = Object.fromEntries(getEnvironment());
  if (pathname.startsWith('/hello/')) return Response.json({ greeting: env.GREETING ?? 'Hello', name: decodeURIComponent(pathname.slice(7)) });
  if (pathname === '/fetch') return fetch(searchParams.get('url'));
  return new Response('There is /hello/NAME, and /fetch?url=URL.\n', { status: 404 });
}

addEventListener('fetch', (event) => event.respondWith(handle(event.request)));
