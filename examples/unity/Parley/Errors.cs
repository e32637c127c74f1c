// What can go wrong, as a game sees it. None of these is thrown out of Say or Pump for reasons of the network: they come
// by the events of the client and of its streams.

using System;

namespace Parley
{
    public abstract class ParleyException : Exception
    {
        protected ParleyException(string message, Exception cause = null) : base(message, cause) { }
    }

    /// <summary>The edge refused a message. Its Message may be shown to a player.</summary>
    public class ServerException : ParleyException
    {
        /// <summary>One of the error codes of PROTOCOL.md, or one that a newer edge has added.</summary>
        public readonly string Code;
        /// <summary>Whether the same request may succeed later, as a new Say.</summary>
        public readonly bool MayTryAgain;
        /// <summary>How long to wait before that; 0: the edge did not say.</summary>
        public readonly int RetryMs;

        internal ServerException(string code, string message, int retryMs) : base(message)
        {
            Code = code;
            MayTryAgain = Protocol.IsWorthAnotherTry(code);
            RetryMs = retryMs;
        }

        internal ServerException(Message m) : this(m.Text("code"), m.Text("message"), (int)m.Whole("retryMs")) { }
    }

    /// <summary>An answer was refused or broke off.</summary>
    public sealed class StreamException : ServerException
    {
        /// <summary>Whether a part of the answer was delivered before.</summary>
        public readonly bool Partial;

        internal StreamException(Message m) : base(m)
        {
            Partial = m.Flag("partial");
        }

        /// <summary>The rest of a stream that could not be resumed.</summary>
        internal StreamException(bool partial) : base("lost", "The rest of the answer is lost.", 0)
        {
            Partial = partial;
        }
    }

    /// <summary>The connection is closed and the client does not come back by itself.</summary>
    public sealed class ClosedException : ParleyException
    {
        /// <summary>The WebSocket close code; 1006 where there was none.</summary>
        public readonly int Code;
        public readonly string Reason;
        /// <summary>Whether a new client may connect.</summary>
        public readonly Retry Retry;

        internal ClosedException(int code, string reason, Exception cause = null)
            : base("the connection is closed: " + code + " (" + reason + ")", cause)
        {
            Code = code;
            Reason = reason;
            Retry = Protocol.RetryAfterClose(code);
        }
    }
}
