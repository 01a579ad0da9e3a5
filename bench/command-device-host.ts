// The program that a benchmark of core-command runs as a device service: it answers each command at once, by HTTP and by MQTT.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMqttBus } from '@antirio/bus';
import { createLog } from '@antirio/host';

const [mqtt = ''] = process.argv.slice(2);
const SERVICE = 'bench-service';
const ID = '1e6e8a2f-eb14-4649-9e2b-175247911369';
const names = '"deviceName":"bench-device","profileName":"bench-profile"';
const reading = `{"id":"${ID}","origin":1602168089665565301,${names},"resourceName":"temperature","valueType":"Float32","value":"2.15e+01"}`;
const event = `{"apiVersion":"v3","id":"${ID}",${names},"sourceName":"temperature","origin":1602168089665565301,"readings":[${reading}]}`;
const ANSWER = `{"apiVersion":"v3","statusCode":200,"event":${event}}`;
const REQUEST_ID = /"requestID":"([^"]*)"/;

const server = createServer((_request, response) => {
  response
    .writeHead(200, { 'content-type': 'application/json', 'content-length': ANSWER.length })
    .end(ANSWER);
});
server.listen(0, '127.0.0.1', () => void start());

async function start(): Promise<void> {
  const bus = createMqttBus({ url: `mqtt://127.0.0.1:${mqtt}` }, createLog(SERVICE, 'warn'));
  await bus.subscribe(`edgex/device/command/request/${SERVICE}/#`, async (_topic, bytes) => {
    const [, requestID = ''] = REQUEST_ID.exec(Buffer.from(bytes).toString()) ?? [];
    const envelope = `{"apiVersion":"v3","receivedTopic":"","correlationID":"c","requestID":"${requestID}","errorCode":0,"contentType":"application/json","payload":${ANSWER}}`;
    await bus.publish(`edgex/response/${SERVICE}/${requestID}`, envelope);
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.({ http: (server.address() as AddressInfo).port });
}
