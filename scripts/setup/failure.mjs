// How set-up speaks: progress lines on standard error, and one kind of failure that names the step, the cause and
// what to type. Everything that can go wrong in a child (pip, npm, apt-get) or on the disk is classified here.

/** A step that cannot be done. `remedy` is what the person should do or type. */
export class SetupFailure extends Error {
  constructor(step, cause, remedy) {
    super(cause);
    this.name = 'SetupFailure';
    this.step = step;
    this.remedy = remedy;
  }

  report() {
    return `stopped at "${this.step}": ${this.message}\n  What to do: ${this.remedy}`;
  }
}

/** Prints one line of progress. */
export function say(line) {
  process.stderr.write(`set-up: ${line}\n`);
}

const elsewhere = 'PARLEY_HOME=/some/other/folder npm start';

/**
 * Turns an error of the file system into a SetupFailure; any other error is returned as it is. `instead` is what to
 * type to use another folder.
 */
export function diskFailure(step, folder, error, instead = elsewhere) {
  switch (error.code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return noRoom(step, folder, instead);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return notWritable(step, folder, instead);
    case 'EEXIST':
    case 'ENOTDIR':
      return new SetupFailure(
        step,
        `${error.path ?? folder} is in the way: a folder is needed there`,
        instead,
      );
    default:
      return error;
  }
}

/** Says why a package client failed, from what it wrote on standard error. */
export function clientFailure(step, folder, client, result, instead = elsewhere) {
  const text = result.errors;
  if (result.code === 127) {
    return new SetupFailure(
      step,
      `${client} is not on PATH`,
      `install ${client}, then type the same command again`,
    );
  }
  if (/DO NOT MATCH THE HASHES|EINTEGRITY/i.test(text)) {
    return new SetupFailure(
      step,
      `${client} was served a file whose hash is not the pinned one, so it was thrown away`,
      'try again; if it stays so, the package index or a mirror on the way serves something else than it used to. Do not use it',
    );
  }
  if (/No space left|ENOSPC|Errno 28|not have enough free space/i.test(text))
    return noRoom(step, folder, instead);
  if (/EACCES|EROFS|EPERM|Permission denied|Errno 13|Read-only file system/i.test(text))
    return notWritable(step, folder, instead);
  if (
    /EUSAGE/.test(text) // npm ci: the lockfile does not fit package.json
  ) {
    return new SetupFailure(step, 'package-lock.json does not fit package.json', 'npm install');
  }
  if (/CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|UNABLE_TO_(GET|VERIFY)|CERT_UNTRUSTED/i.test(text)) {
    return new SetupFailure(
      step,
      `${client} does not trust the certificate of its package index, as behind a proxy that reads along`,
      "name the file of the proxy's certificate: PIP_CERT for pip, NODE_EXTRA_CA_CERTS for npm",
    );
  }
  if (
    /ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ERR_SOCKET|NewConnectionError|ConnectionError|Max retries|timed out|Temporary failure|Could not resolve|Could not connect|Name or service|ProxyError|SSLError/i.test(
      text,
    )
  ) {
    return new SetupFailure(
      step,
      `${client} did not reach its package index: no network, or a proxy that it was not told of`,
      'connect, or set HTTPS_PROXY, then type the same command again. What was fetched already is kept',
    );
  }
  if (/No matching distribution|Unable to locate package|E404/i.test(text)) {
    return new SetupFailure(
      step,
      `${client} found no package for this machine in the index it uses`,
      'see its message above; an index of your own (PIP_INDEX_URL, .npmrc, sources.list) must carry the package',
    );
  }
  const how = result.signal ? `was ended by ${result.signal}` : `failed with exit code ${result.code}`;
  return new SetupFailure(
    step,
    `${client} ${how}`,
    'see its message above, then type the same command again',
  );
}

function noRoom(step, folder, instead) {
  return new SetupFailure(
    step,
    `no room is left on the disk of ${folder}`,
    `free some (the first set-up needs about 1 GB, that of tests and training about 6 GB), or use a folder on another disk: ${instead}`,
  );
}

function notWritable(step, folder, instead) {
  return new SetupFailure(
    step,
    `${folder} cannot be written by this user`,
    `use a folder that it may write: ${instead}`,
  );
}
