// JSON, as much as the protocol needs: maps, arrays, strings, numbers, true, false and null, to and from plain objects.
// No reflection, so IL2CPP strips nothing of it, and no package to add. It maps no classes, and all numbers are doubles.

using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Parley
{
    internal static class Json
    {
        /// <summary>Deeper than this is no message: what a server sends must not end the game's stack.</summary>
        private const int MaxDepth = 32;

        /// <summary>
        /// Dictionary&lt;string, object&gt;, List&lt;object&gt;, string, double, bool or null. Throws FormatException for
        /// anything that is no JSON, and nothing else.
        /// </summary>
        public static object Parse(string text)
        {
            var reader = new Reader(text);
            object value = reader.Value(0);
            reader.End();
            return value;
        }

        /// <summary>Maps, lists, strings, numbers, bools. A map's entry that is null is left out, as the protocol wants it.</summary>
        public static string Write(IEnumerable<KeyValuePair<string, object>> map)
        {
            var text = new StringBuilder();
            Append(text, map);
            return text.ToString();
        }

        private static void Append(StringBuilder text, object value)
        {
            if (value is string words) AppendString(text, words);
            else if (value is bool flag) text.Append(flag ? "true" : "false");
            else if (value is IEnumerable<KeyValuePair<string, object>> map)
            {
                char before = '{';
                foreach (var entry in map)
                {
                    if (entry.Value == null) continue;
                    text.Append(before);
                    before = ',';
                    AppendString(text, entry.Key);
                    text.Append(':');
                    Append(text, entry.Value);
                }
                text.Append(before == '{' ? "{}" : "}");
            }
            else if (value is IEnumerable list)
            {
                char before = '[';
                foreach (object item in list)
                {
                    text.Append(before);
                    before = ',';
                    Append(text, item);
                }
                text.Append(before == '[' ? "[]" : "]");
            }
            else if (value == null || value is double number && (double.IsNaN(number) || double.IsInfinity(number)))
                text.Append("null");
            else if (value is double || value is float)
                text.Append(Convert.ToDouble(value).ToString("R", CultureInfo.InvariantCulture));
            else if (value is int || value is long || value is uint)
                text.Append(Convert.ToString(value, CultureInfo.InvariantCulture));
            else throw new ArgumentException("cannot be written as JSON: " + value.GetType());
        }

        private static void AppendString(StringBuilder text, string value)
        {
            text.Append('"');
            foreach (char c in value)
            {
                if (c == '"' || c == '\\') text.Append('\\').Append(c);
                else if (c < ' ') text.Append("\\u").Append(((int)c).ToString("x4"));
                else text.Append(c);
            }
            text.Append('"');
        }

        private struct Reader
        {
            private readonly string text;
            private int at;

            public Reader(string text)
            {
                this.text = text;
                at = 0;
            }

            public object Value(int depth)
            {
                if (depth > MaxDepth) throw Fault("nested too deeply");
                switch (Next())
                {
                    case '{': return Map(depth);
                    case '[': return List(depth);
                    case '"': return String();
                    case 't': return Word("true", true);
                    case 'f': return Word("false", false);
                    case 'n': return Word("null", null);
                    default: return Number();
                }
            }

            public void End()
            {
                Space();
                if (at < text.Length) throw Fault("something after the end");
            }

            private Dictionary<string, object> Map(int depth)
            {
                var map = new Dictionary<string, object>();
                at++;
                if (Take('}')) return map;
                do
                {
                    if (Next() != '"') throw Fault("a key is missing");
                    string key = String();
                    if (!Take(':')) throw Fault("a colon is missing");
                    map[key] = Value(depth + 1);
                } while (Take(','));
                if (!Take('}')) throw Fault("a map does not end");
                return map;
            }

            private List<object> List(int depth)
            {
                var list = new List<object>();
                at++;
                if (Take(']')) return list;
                do list.Add(Value(depth + 1));
                while (Take(','));
                if (!Take(']')) throw Fault("an array does not end");
                return list;
            }

            private string String()
            {
                int start = ++at;
                // Nearly every string has no escape in it, and is cut out as it is.
                while (at < text.Length && text[at] != '"' && text[at] != '\\') at++;
                if (at < text.Length && text[at] == '"') return text.Substring(start, at++ - start);
                var value = new StringBuilder(text, start, at - start, 64);
                while (at < text.Length)
                {
                    char c = text[at++];
                    if (c == '"') return value.ToString();
                    value.Append(c == '\\' ? Escape() : c);
                }
                throw Fault("a string does not end");
            }

            private char Escape()
            {
                char c = at < text.Length ? text[at++] : '\0';
                switch (c)
                {
                    case '"': case '\\': case '/': return c;
                    case 'b': return '\b';
                    case 'f': return '\f';
                    case 'n': return '\n';
                    case 'r': return '\r';
                    case 't': return '\t';
                    case 'u':
                        if (at + 4 <= text.Length && ushort.TryParse(text.Substring(at, 4), NumberStyles.AllowHexSpecifier,
                            CultureInfo.InvariantCulture, out ushort code))
                        {
                            at += 4;
                            return (char)code;
                        }
                        break;
                }
                throw Fault("a bad escape");
            }

            private object Number()
            {
                int start = at;
                while (at < text.Length && "+-.eE0123456789".IndexOf(text[at]) >= 0) at++;
                if (double.TryParse(text.Substring(start, at - start), NumberStyles.Float, CultureInfo.InvariantCulture,
                    out double number)) return number;
                throw Fault("a value is missing");
            }

            private object Word(string word, object value)
            {
                if (string.CompareOrdinal(text, at, word, 0, word.Length) != 0) throw Fault("a value is missing");
                at += word.Length;
                return value;
            }

            private void Space()
            {
                while (at < text.Length && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r')) at++;
            }

            /// <summary>The next character that is no space, '\0' at the end.</summary>
            private char Next()
            {
                Space();
                return at < text.Length ? text[at] : '\0';
            }

            private bool Take(char c)
            {
                if (Next() != c) return false;
                at++;
                return true;
            }

            private FormatException Fault(string what)
            {
                return new FormatException("no JSON at " + at + ": " + what);
            }
        }
    }
}
