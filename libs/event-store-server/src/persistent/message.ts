/** An event that a group hands out, as the group knows it: where it is. Its bytes stay in the log. */
export interface Message {
  /** Revision in the stream, or position in the log; of a replayed one, its revision among the parked. */
  readonly place: number;
  /** The place before it: who begins after that one gets this one first. -1 = there is none. */
  readonly before: number;
  /** Grows by one with each event that was considered: what lies between two of them can be counted. */
  readonly ordinal: number;
  /** It was parked before. The checkpoint does not wait for it: it has a stream of its own. */
  readonly isReplayed: boolean;
  /** Which part of the events it belongs to, for strategies that keep parts together. */
  readonly bucket: number;
}

/** What a group still has to hand out, and how often that failed. */
export interface Waiting {
  readonly message: Message;
  readonly retryCount: number;
}

/** How far a group has come: everything up to here. */
export interface Progress {
  readonly place: number;
  readonly ordinal: number;
}

/** The records behind a message. Views of the log: valid until the caller returns to the event loop. */
export interface Content {
  /** What consumers acknowledge, in hexadecimal: of the link when there is one. */
  readonly id: string;
  /** Undefined when a link stands for nothing that can be read. */
  readonly event: Buffer | undefined;
  readonly link: Buffer | undefined;
  readonly position: number;
}
