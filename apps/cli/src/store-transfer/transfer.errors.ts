import { Terminal } from '@perdure/kernel';

/** What is read is no transfer, or of a version that this program does not know. */
export class NotATransfer extends Terminal {
  constructor(why: string) {
    super(
      'NotATransfer',
      `This is no transfer that can be read (${why}): give what \`perdure store export\` of this version wrote.`,
    );
  }
}

export class TransferDamaged extends Terminal {
  constructor(line: number, why: string) {
    super('TransferDamaged', `The transfer is damaged at line ${line} (${why}): export again.`);
  }
}

export class TransferCutOff extends Terminal {
  constructor(line: number) {
    super(
      'TransferCutOff',
      `The transfer ends at line ${line} without its last line: the export did not finish. Export again, then import again; what is there already is not repeated.`,
    );
  }
}

/** What takes the export takes no more: a pipe that was closed, a disk that is full. */
export class OutputFailed extends Terminal {
  constructor(cause: Error) {
    super(
      'OutputFailed',
      `The export could not be written (${cause.message}): see what its reader says, or choose another file, and export again.`,
      { cause },
    );
  }
}

/** Another history than that of the source. */
export class TargetDiffers extends Terminal {
  constructor(
    readonly stream: string,
    readonly revision: number,
    what: string,
  ) {
    super(
      'TargetDiffers',
      `The target holds something else in ${stream} at revision ${revision} (${what}): nothing there was changed. Import into an empty store, or one that only this source was imported into.`,
      { details: { stream, revision } },
    );
  }
}

export class TargetStreamDeleted extends Terminal {
  constructor(streams: readonly string[]) {
    super(
      'TargetStreamDeleted',
      `In the target these streams are deleted for ever, and in the source they are not: ${namesOf(streams)}. Import into an empty store.`,
      { details: { streams: streams.slice(0, NAMED_MAX) } },
    );
  }
}

/** No server can begin a stream at another revision than 0. */
export class RevisionsMissing extends Terminal {
  constructor(streams: readonly string[]) {
    super(
      'RevisionsMissing',
      `The first revisions of these streams were scavenged in the source: ${namesOf(streams)}. With --fill they keep their revisions: hidden events of type $filler stand for what is gone.`,
      { details: { streams: streams.slice(0, NAMED_MAX) } },
    );
  }
}

export class EventRefused extends Terminal {
  constructor(place: { readonly stream: string; readonly revision: number }, cause: Error) {
    super(
      'EventRefused',
      `The target does not accept ${place.stream} at revision ${place.revision}: ${cause.message} Its limit (MaxAppendSize in EventStoreDB) must be that of the source, and the user of the connection must be allowed to write.`,
      { cause, details: { ...place } },
    );
  }
}

export class VerificationFailed extends Terminal {
  constructor(streams: readonly string[]) {
    super('VerificationFailed', `The target does not hold what was imported in these streams: ${namesOf(streams)}.`, {
      details: { streams: streams.slice(0, NAMED_MAX) },
    });
  }
}

const NAMED_MAX = 10;

function namesOf(streams: readonly string[]): string {
  const more = streams.length - NAMED_MAX;
  return `${streams.slice(0, NAMED_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
