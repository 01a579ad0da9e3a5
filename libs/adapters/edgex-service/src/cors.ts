import type { RequestHandler } from 'express';
import type { CorsOptions } from './options.ts';

/**
 * Lets pages of one origin call the service, as EdgeX's Service.CORSConfiguration says; preflight requests are answered here.
 * Without the option enabled it does nothing.
 */
export function cors(options: CorsOptions): RequestHandler {
  const { allowCredentials, allowedHeaders, allowedMethods, allowedOrigin, exposeHeaders, maxAge } = options;
  const always: Record<string, string> = { vary: 'Origin' };
  if (allowedOrigin !== '') always['access-control-allow-origin'] = allowedOrigin;
  if (allowCredentials) always['access-control-allow-credentials'] = 'true';
  const preflight: Record<string, string> = { ...always };
  if (allowedMethods !== '') preflight['access-control-allow-methods'] = allowedMethods;
  if (allowedHeaders !== '') preflight['access-control-allow-headers'] = allowedHeaders;
  if (maxAge > 0) preflight['access-control-max-age'] = String(maxAge);
  const actual =
    exposeHeaders === '' ? always : { ...always, 'access-control-expose-headers': exposeHeaders };

  return (request, response, next) => {
    const { method, headers } = request;
    if (!options.enabled || headers.origin === undefined) {
      next();
    } else if (method === 'OPTIONS' && headers['access-control-request-method'] !== undefined) {
      response.set(preflight).status(200).end();
    } else {
      response.set(actual);
      next();
    }
  };
}
