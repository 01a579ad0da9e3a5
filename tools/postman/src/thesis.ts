/** A resource of the thesis's tables 4.1 to 4.9: its own example, and with what it is answered. */
export interface ThesisRequest {
  readonly table: string;
  readonly room: 'orchestrator' | 'filecoin-interface';
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  /** As JSON, or as it is. */
  readonly body?: Readonly<Record<string, unknown>> | string;
  readonly status: number;
  /** Keys of the answer, or of each item of a list. */
  readonly keys: readonly string[];
}

const IMAGE = {
  imageHash: '7kg8sdf03jdfh9hfsf49h0sdf',
  status: 'STORED',
} as const;
const ID = '16935cab-2de3-4014-b0f7-3f15eca09bdc16935cab-2de3-4014-b0f7-3';
const FILE = { imageName: 'LoRa-device-service', fileName: 'LoRa-device-service.tar' } as const;
const CONTRACT = {
  edgeId: 'asdfasdfa',
  imageName: 'asdfadsfas',
  imageHash: 'adsfasfda',
  config: 'configFile.json',
};

type Both = Omit<ThesisRequest, 'method' | 'status' | 'body'> & {
  readonly body: Readonly<Record<string, unknown>>;
};

/** What is posted is shown by a GET of the same resource. */
const both = (given: Both): ThesisRequest[] => {
  const { body, ...rest } = given;
  return [
    { ...rest, body, method: 'POST', status: 202 },
    { ...rest, method: 'GET', status: 200 },
  ];
};

const own = '/orchestrator';
const storage = '/filecoin_interface';

export const THESIS: readonly ThesisRequest[] = [
  ...both({
    table: '4.1',
    room: 'orchestrator',
    path: `${own}/service_customer/image/status`,
    body: { imageId: ID, ...IMAGE },
    keys: ['imageId', 'imageHash', 'status'],
  }),
  ...both({
    table: '4.3',
    room: 'orchestrator',
    path: `${own}/service_provider/contract`,
    body: CONTRACT,
    keys: ['edgeId', 'imageName', 'imageHash', 'config'],
  }),
  ...both({
    table: '4.2',
    room: 'orchestrator',
    path: `${own}/service_provider/image/status`,
    body: { imageId: CONTRACT.imageHash, status: 'DOWNLOADED' },
    keys: ['imageId', 'status'],
  }),
  ...both({
    table: '4.4',
    room: 'orchestrator',
    path: `${own}/service_customer/contract/testing`,
    body: { ...FILE, duration: 7 },
    keys: ['imageName', 'fileName', 'duration'],
  }),
  {
    table: '4.5',
    room: 'orchestrator',
    method: 'GET',
    path: `${own}/health`,
    status: 200,
    keys: ['Status Message'],
  },
  ...both({
    table: '4.6',
    room: 'filecoin-interface',
    path: `${storage}/backend/image`,
    body: { imageid: ID, ...IMAGE },
    keys: ['imageId', 'imageHash', 'status'],
  }),
  {
    // the image of table 4.7, which has to be in the images folder of the edge
    table: '4.7',
    room: 'filecoin-interface',
    method: 'PUT',
    path: `/api/v3/storage/file/${FILE.fileName}`,
    body: 'the bytes of an image',
    status: 201,
    keys: ['file'],
  },
  ...both({
    table: '4.7',
    room: 'filecoin-interface',
    path: `${storage}/orchestrator/image`,
    body: { ...FILE, storageDuration: 7 },
    keys: ['imageName', 'storageDuration', 'fileName'],
  }),
  ...both({
    table: '4.8',
    room: 'filecoin-interface',
    path: `${storage}/backend/error`,
    body: { errorObject: 'error.json', code: 404, message: 'can\'t find miner with minerId "Qj3249fj...' },
    keys: ['errorObject', 'code', 'message'],
  }),
  {
    table: '4.9',
    room: 'filecoin-interface',
    method: 'GET',
    path: `${storage}/health`,
    status: 200,
    keys: ['Status Message'],
  },
];
