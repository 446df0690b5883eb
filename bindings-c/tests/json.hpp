// JSON, as far as tests read it: values by name, numbers to the last digit. What is no JSON ends the test.
#ifndef JSON_HPP
#define JSON_HPP

#include "check.h"

#include <cctype>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

class Json {
public:
    enum class Kind { Null, Bool, Number, Text, List, Object };

    static Json of(const std::string &text)
    {
        const char *at = text.c_str();
        Json json = value(at);
        skip(at);
        CHECK(*at == '\0');
        return json;
    }

    static Json of_file(const std::string &path)
    {
        std::ifstream file(path);
        CHECK(file.good());
        return of({std::istreambuf_iterator<char>(file), {}});
    }

    Kind kind() const { return kind_; }
    bool is_null() const { return kind_ == Kind::Null; }
    bool truth() const { return expect(Kind::Bool).text_ == "true"; }
    const std::string &text() const { return expect(Kind::Text).text_; }
    double number() const { return std::strtod(expect(Kind::Number).text_.c_str(), nullptr); }
    std::uint64_t whole() const
    {
        CHECK(expect(Kind::Number).text_.find_first_not_of("0123456789") == std::string::npos);
        return std::strtoull(text_.c_str(), nullptr, 10);
    }
    const std::vector<Json> &list() const { return expect(Kind::List).items_; }
    std::size_t size() const { return items_.size(); }

    /** The fields of an object, in their order. */
    const std::vector<std::string> &names() const { return expect(Kind::Object).names_; }

    /** A field of an object; null when there is none, or this is none. */
    const Json &operator[](const std::string &name) const
    {
        static const Json null;
        for (std::size_t at = 0; at < names_.size(); ++at)
            if (names_[at] == name)
                return items_[at];
        return null;
    }

    /** What is found by names with dots between them. */
    const Json &at(const std::string &path) const
    {
        const std::size_t dot = path.find('.');
        const Json &next = (*this)[path.substr(0, dot)];
        return dot == std::string::npos ? next : next.at(path.substr(dot + 1));
    }

    /** Whether they say the same; 1 and 1.0 do. */
    bool operator==(const Json &other) const
    {
        if (kind_ == Kind::Number && other.kind_ == kind_)
            return text_ == other.text_ || number() == other.number();
        return kind_ == other.kind_ && text_ == other.text_ && names_ == other.names_ && items_ == other.items_;
    }

    /** To show it in a message. */
    std::string shown() const
    {
        if (kind_ == Kind::Text)
            return '"' + text_ + '"';
        if (kind_ != Kind::List && kind_ != Kind::Object)
            return text_;
        std::string all;
        for (std::size_t at = 0; at < items_.size(); ++at)
            all += (at > 0 ? "," : "") + (kind_ == Kind::Object ? '"' + names_[at] + "\":" : "") + items_[at].shown();
        return kind_ == Kind::List ? '[' + all + ']' : '{' + all + '}';
    }

private:
    const Json &expect(Kind kind) const
    {
        CHECK(kind_ == kind);
        return *this;
    }

    static void skip(const char *&at)
    {
        while (std::isspace(static_cast<unsigned char>(*at)))
            ++at;
    }

    static bool take(const char *&at, char sign)
    {
        skip(at);
        if (*at != sign)
            return false;
        ++at;
        return true;
    }

    static Json value(const char *&at)
    {
        Json json;
        if (take(at, '{')) {
            json.kind_ = Kind::Object;
            while (!take(at, '}')) {
                CHECK(json.items_.empty() || take(at, ','));
                CHECK(take(at, '"'));
                json.names_.push_back(rest_of_text(at));
                CHECK(take(at, ':'));
                json.items_.push_back(value(at));
            }
        } else if (take(at, '[')) {
            json.kind_ = Kind::List;
            while (!take(at, ']')) {
                CHECK(json.items_.empty() || take(at, ','));
                json.items_.push_back(value(at));
            }
        } else if (take(at, '"')) {
            json.kind_ = Kind::Text;
            json.text_ = rest_of_text(at);
        } else {
            while (std::isalnum(static_cast<unsigned char>(*at)) || *at == '-' || *at == '+' || *at == '.')
                json.text_ += *at++;
            json.kind_ = json.text_ == "null"                             ? Kind::Null
                         : json.text_ == "true" || json.text_ == "false" ? Kind::Bool
                                                                          : Kind::Number;
            CHECK(!json.text_.empty() && (json.kind_ != Kind::Number || strchr("-0123456789", json.text_[0])));
        }
        return json;
    }

    static std::string rest_of_text(const char *&at)
    {
        std::string text;
        for (; *at != '"'; ++at) {
            CHECK(*at != '\0');
            if (*at != '\\') {
                text += *at;
                continue;
            }
            const char letter = *++at;
            const char *const known = strchr("b\bf\fn\nr\rt\t", letter);
            CHECK(letter != '\0');
            if (letter == 'u') {
                const unsigned long code = std::strtoul(std::string(at + 1, 4).c_str(), nullptr, 16);
                CHECK(code < 0x80); // The core escapes control characters only.
                text += static_cast<char>(code);
                at += 4;
            } else {
                text += known == nullptr ? letter : known[1];
            }
        }
        ++at;
        return text;
    }

    Kind kind_ = Kind::Null;
    std::string text_{};
    std::vector<std::string> names_{};
    std::vector<Json> items_{};
};

#endif
