// What the image's HEALTHCHECK runs: asks every service of this container whether it is ready, and says which is not. It imports
// nothing of the product, for it is started every few seconds on machines of one gigabyte.
import { readFileSync } from 'node:fs';
import { get } from 'node:http';

const TIMEOUT_MS = 8000;

/** What is wrong with one service, or undefined. */
function ask([name, url]) {
  return new Promise((resolve) => {
    // what is in this very container is asked without TLS, which its services take by the same port
    const asked = get(
      `${url.replace(/^https:/, 'http:')}/api/v3/ready`,
      { timeout: TIMEOUT_MS },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part) => (text += part));
        response.on('end', () =>
          resolve(response.statusCode === 200 ? undefined : `${name} is not ready: ${text}`),
        );
        response.on('error', (error) => resolve(`${name}: ${error.message}`));
      },
    );
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    asked.on('error', (error) => resolve(`${name}: ${error.message}`));
  });
}

/** Where the services of this container are; undefined before all have started. */
function started() {
  const file = process.env.ANTIRIO_READY_FILE;
  try {
    return Object.entries(JSON.parse(readFileSync(file, 'utf8')).urls);
  } catch (error) {
    process.stdout.write(`not started yet, or not at all (see the container's log): ${error.message}\n`);
    return undefined;
  }
}

const services = started();
const faults = services === undefined ? [] : (await Promise.all(services.map(ask))).filter(Boolean);
if (services === undefined || faults.length > 0) {
  process.stdout.write(faults.map((fault) => `${fault}\n`).join(''));
  process.exitCode = 1;
} else {
  process.stdout.write(`${services.length} services are ready\n`);
}
