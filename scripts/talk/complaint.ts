// A fault of the user's, or of what is around: said in one line, without a stack trace.

export class Complaint extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Complaint';
  }
}
